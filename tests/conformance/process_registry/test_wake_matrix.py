"""What wakes, with what text, and which wakes are one: scenarios 19 to 25."""

from typing import Any

import pytest_asyncio

from lash_store.records.process import ProcessScope
from lash_store.records.process_event import ProcessEventAppendResult, ProcessWakeDelivery
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import append, register, wake_type

TEMPLATE = {
    "template": {
        "template": "line {line} #{n}",
        "fields": {"line": {"pointer": "/line"}, "n": {"pointer": "/n"}},
    }
}
TYPES = [
    wake_type("matrix.when_false", when={"const": False}, input="payload"),
    wake_type("matrix.payload", input="payload"),
    wake_type("matrix.const_input", input={"const": "constant wake input"}),
    wake_type("matrix.template", input=TEMPLATE),
    wake_type("matrix.selector_dedupe", input={"pointer": "/input"}, dedupe_key={"selector": {"pointer": "/dedupe"}}),
    wake_type("matrix.const_dedupe", input={"pointer": "/input"}, dedupe_key={"const": "constant-dedupe"}),
]
EVENTS: list[tuple[str, Any]] = [
    ("when_false", {}),
    ("payload", "payload wake"),
    ("const_input", {}),
    ("template", {"line": "done", "n": 7}),
    ("selector_dedupe", {"input": "one", "dedupe": "group-a"}),
    ("selector_dedupe", {"input": "two", "dedupe": "group-a"}),
    ("const_dedupe", {"input": "one"}),
    ("const_dedupe", {"input": "two"}),
]


@pytest_asyncio.fixture
async def results(registry: SqliteProcessRegistry) -> list[ProcessEventAppendResult]:
    """The events of scenarios 19 to 24, in their order."""
    await register(registry, "proc-wake-matrix", *TYPES)
    return [
        await append(registry, "proc-wake-matrix", f"matrix.{name}", payload, target=ProcessScope("root"))
        for name, payload in EVENTS
    ]


def delivery(result: ProcessEventAppendResult) -> ProcessWakeDelivery:
    assert result.wake_delivery is not None
    return result.wake_delivery


async def test_scenario_19_when_is_false(results: list[ProcessEventAppendResult]) -> None:
    assert results[0].event.sequence == 1
    assert results[0].wake_delivery is None
    assert results[0].event.semantics.wake is None


async def test_scenario_20_the_whole_payload(results: list[ProcessEventAppendResult]) -> None:
    assert (delivery(results[1]).input, delivery(results[1]).dedupe_key) == ("payload wake", "proc-wake-matrix:2")


async def test_scenario_21_a_constant(results: list[ProcessEventAppendResult]) -> None:
    assert delivery(results[2]).input == "constant wake input"


async def test_scenario_22_a_template(results: list[ProcessEventAppendResult]) -> None:
    assert delivery(results[3]).input == "line done #7"


async def test_scenario_23_one_wake_by_a_selected_key(results: list[ProcessEventAppendResult]) -> None:
    one, two = map(delivery, results[4:6])
    assert (one.input, two.input) == ("one", "two")
    assert one.dedupe_key == two.dedupe_key == "group-a"
    assert one.wake_id == two.wake_id == "wake:47638cea38923830386dd823b3b19b9ddc3dfdf6b2ac798f1be01f2400b61634"


async def test_scenario_24_one_wake_by_a_constant_key(results: list[ProcessEventAppendResult]) -> None:
    one, two = map(delivery, results[6:8])
    assert (one.input, two.input) == ("one", "two")
    assert one.dedupe_key == two.dedupe_key == "constant-dedupe"
    assert one.wake_id == two.wake_id


async def test_scenario_25_all_that_wakes(
    registry: SqliteProcessRegistry, results: list[ProcessEventAppendResult]
) -> None:
    events = await registry.wake_events_after("proc-wake-matrix", 0)
    assert events == [result.event for result in results[1:]]
    assert [event.sequence for event in events] == [2, 3, 4, 5, 6, 7, 8]
