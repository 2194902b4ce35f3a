"""How SQLite goes about the registry's statements: through an index, without sorting, however many rows there are."""

import json
import re
from collections.abc import Iterator

import apsw
import pytest

from lash_store.sqlite.ops import (
    process_acks,
    process_events,
    process_grants,
    process_leases,
    process_session_delete,
    processes,
)
from lash_store.sqlite.process_registry.store import SCHEMA

MODULES = (processes, process_events, process_acks, process_grants, process_leases, process_session_delete)
SORTED_SETS = {"_RUNNING", "_RECORDS", "_SAME_LEFT"}
"""What a session may address is made distinct; its handles are found through an index."""
MERGED = {"process_acks._WAKES_AFTER"}
"""The wakes of several types, each found through an index, are put into one order."""


def statements() -> Iterator[tuple[str, str]]:
    """Every statement of the registry's modules, by its name."""
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, str) and name.isupper() and value.lstrip().startswith(_VERBS):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", value


_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@pytest.fixture(scope="module", params=["empty", "analysed"])
def connection(request: pytest.FixtureRequest) -> Iterator[apsw.Connection]:
    opened = apsw.Connection(":memory:")
    opened.create_scalar_function("lash_now_ms", lambda *_: 1, 0)
    for statement in SCHEMA.objects.values():
        opened.execute(statement)
    if request.param == "analysed":
        fill(opened)
    yield opened
    opened.close()


def fill(opened: apsw.Connection) -> None:
    """Enough rows, and statistics, for the planner to prefer a scan where it could."""
    record = json.dumps({"id": "p", "registration_hash": "h", "status": {"state": "running"}})
    with opened:
        for n in range(300):
            process_id = f"p{n}"
            status = "running" if n % 30 == 0 else "completed"
            opened.execute("INSERT INTO processes VALUES (?, 'h', 's', 'd', 0, 0, ?, ?)", (process_id, status, record))
            grant = (f"s{n % 10}", f"session:s{n % 10}", process_id)
            opened.execute("INSERT INTO process_handle_grants VALUES (?, ?, ?, '{}')", grant)
            for sequence in range(1, 5):
                values = (process_id, sequence, f"type{sequence % 2}", f"key{sequence}")
                opened.execute("INSERT INTO process_events VALUES (?, ?, ?, 'hash', ?, 0, '{}')", values)
    opened.execute("ANALYZE")


def steps(connection: apsw.Connection, sql: str) -> list[str]:
    parameters = len(set(re.findall(r"\?\d", sql)))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("[]",) * parameters)]


def test_there_are_statements() -> None:
    names = [name for name, _ in statements()]
    assert len(names) > 25
    assert {"processes._RUNNING", "process_grants._LIVE_OF_SCOPE", "process_events._INSERT"} <= set(names)


@pytest.mark.parametrize(("name", "sql"), list(statements()), ids=[name for name, _ in statements()])
def test_no_statement_scans_or_sorts(connection: apsw.Connection, name: str, sql: str) -> None:
    found = steps(connection, sql)
    tables = (*SCHEMA.objects, "process", "event", "grants", "other", "ack")
    scans = [step for step in found if step.startswith("SCAN ") and step.split()[1] in tables]
    assert scans == []
    sorts = [step for step in found if "TEMP B-TREE" in step and "DISTINCT" not in step]
    assert sorts == [] or name in MERGED
    assert (
        name in MERGED
        or name.rpartition(".")[2] in SORTED_SETS
        or not [step for step in found if "TEMP B-TREE" in step]
    )


def test_the_running_ones_are_read_in_order(connection: apsw.Connection) -> None:
    running = dict(statements())["processes._RUNNING"]
    assert steps(connection, running) == ["SEARCH processes USING INDEX lash_store_processes_status (status=?)"]


def test_only_events_that_may_wake_are_looked_at(connection: apsw.Connection) -> None:
    (events,) = [step for step in steps(connection, process_acks._WAKES_AFTER) if " event " in step]
    assert events.endswith("lash_store_process_events_type (process_id=? AND event_type=? AND sequence>?)")
