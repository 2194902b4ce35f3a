"""Every record that both programs write: alpha.40 reads ours, writes the same bytes, and we read what it wrote."""

from typing import Any, Final

import pytest

from lash_store import Record
from tests.interop.driver import Alpha40
from tests.interop.examples import RECORDS, kind_of

FAMILIES: Final = (
    "CausalRef",
    "EffectScope",
    "MergeKey",
    "MessageOrigin",
    "ProcessAwaitOutput",
    "ProcessCommand",
    "ProcessEffectOutcome",
    "ProcessInput",
    "ProcessStatus",
    "PruneState",
    "QueuedWorkPayload",
    "RuntimeEffectCommand",
    "RuntimeEffectOutcome",
    "RuntimeSubject",
    "SessionRelation",
)
"""Records of which upstream has one type with variants, and we a class for each variant."""
DELTAS: Final = ("Unchanged", "Append", "ReplaceFull")


def upstream_type(record: Record) -> str:
    name = kind_of(record)
    if name in DELTAS:
        return "GraphCommitDelta"
    return next((family for family in FAMILIES if name != family and name.startswith(family)), name)


def cases() -> list[Any]:
    return [pytest.param(record, id=kind_of(record)) for record in RECORDS]


@pytest.mark.parametrize("record", cases())
async def test_alpha40_writes_the_same_text(record: Record, records: Alpha40) -> None:
    text = record.to_json().decode()
    assert await records("echo", type=upstream_type(record), text=text) == text


@pytest.mark.parametrize("record", RECORDS, ids=kind_of)
async def test_what_alpha40_has_written_is_the_same_record(record: Record, records: Alpha40) -> None:
    written = await records("echo", type=upstream_type(record), text=record.to_json().decode())
    assert type(record).from_json(written) == record
