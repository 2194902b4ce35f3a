"""docs/shapes.md shows every value that the store only carries, and what it shows can be stored."""

import ast
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lash_store
from lash_store import (
    HostEventOccurrenceRequest,
    HydratedSessionCheckpoint,
    InvalidRecord,
    Record,
    SqliteHostEventStore,
    Store,
    TriggerSubscriptionDraft,
)
from lash_store.records.layout import Fields, MapOf, Plain

PAGE = (Path(__file__).parent.parent / "docs" / "shapes.md").read_text("utf-8")
FENCE = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_GIVEN = {
    "HostEventOccurrenceRecord", "ObservedProcessEvent", "ProcessEffectOutcomeList", "ProcessEvent",
    "TriggerRegistration", "TriggerSubscriptionRecord",
}  # fmt: skip
"""Records that only come out of a store; what they carry went in with another."""


def expressions() -> list[str]:
    """Return every record that the page shows."""
    statements = (statement for found in FENCE.finditer(PAGE) for statement in ast.parse(found["code"]).body)
    return [ast.unparse(statement) for statement in statements]


def shown(expression: str) -> Any:
    return eval(expression, dict(vars(lash_store)))  # noqa: S307  the repository's own page


def carried(annotation: Any) -> bool:
    """Whether a field holds a value that the store does not interpret."""
    if any(isinstance(mark, Plain | Fields | MapOf) for mark in getattr(annotation, "__metadata__", ())):
        return True
    return any(carried(part) for part in typing.get_args(annotation))


def carriers() -> Iterator[str]:
    for name in lash_store.__all__:
        kind = getattr(lash_store, name)
        if isinstance(kind, type) and issubclass(kind, Record):
            hints = typing.get_type_hints(kind, include_extras=True)
            if any(carried(hint) for field, hint in hints.items() if field in kind.__struct_fields__):
                yield name


@pytest.mark.parametrize("expression", expressions())
def test_what_is_shown_can_be_written_and_read(expression: str) -> None:
    record = shown(expression)
    assert type(record).from_json(record.to_json()).to_json() == record.to_json()


def test_every_record_that_carries_something_is_shown() -> None:
    names = {node.id for text in expressions() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert set(carriers()) - names == NOT_GIVEN


def examples(kind: type[Record]) -> list[Any]:
    found = [record for record in map(shown, expressions()) if isinstance(record, kind)]
    assert found
    return found


async def test_the_checkpoints_that_are_shown_can_be_stored() -> None:
    async with await Store.memory() as store:
        for checkpoint in examples(HydratedSessionCheckpoint):
            ref, _ = await store.put_checkpoint(checkpoint)
            stored = await store.get_checkpoint(ref)
            assert stored is not None
            assert (stored.tool_state, stored.plugin_snapshot) == (checkpoint.tool_state, checkpoint.plugin_snapshot)


async def test_what_is_shown_of_host_events_is_taken() -> None:
    async with await SqliteHostEventStore.memory() as store:
        for draft in examples(TriggerSubscriptionDraft):
            await store.register_subscription(draft)
        for request in examples(HostEventOccurrenceRequest):
            recorded = await store.record_occurrence(request)
            assert await store.reserve_matching_deliveries(recorded.occurrence_id)


@pytest.mark.parametrize("tool_state", [{"tools": {}}, {"generation": 1}, {"generation": "1", "tools": {}}])
async def test_what_is_said_to_be_checked_is(tool_state: Any) -> None:
    async with await Store.memory() as store:
        with pytest.raises(InvalidRecord):
            await store.put_checkpoint(HydratedSessionCheckpoint(tool_state=tool_state))
