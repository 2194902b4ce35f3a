"""How SQLite goes about the statements of the host-event store: through an index, however many rows there are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import apsw
import pytest

from lash_store.sqlite.host_event_store.store import SCHEMA
from lash_store.sqlite.ops import (
    host_event_deliveries,
    host_event_occurrences,
    host_event_retention,
    host_event_subscriptions,
)

MODULES = (host_event_deliveries, host_event_occurrences, host_event_retention, host_event_subscriptions)
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
EVERYTHING = {"_LIST_ALL", "_OLD_OCCURRENCES", "_OLD_SUBSCRIPTIONS"}
"""These go through a table, the last two in slices, each through the part behind the one before."""
BY_NAME = (
    f"{host_event_subscriptions._LIST} WHERE {host_event_subscriptions._CONDITIONS['name']}"
    f"{host_event_subscriptions._ORDER}"
)
RESERVING = {
    name: getattr(host_event_deliveries, name) for name in ("_MATCHING", "_OVERLOOKED", "_ACCOUNT", "_RESERVE")
}


def statements() -> Iterator[Any]:
    for module in MODULES:
        for name, value in vars(module).items():
            is_statement = isinstance(value, str) and name.isupper() and value.lstrip().startswith(VERBS)
            if is_statement and "{condition}" not in value and name not in {*EVERYTHING, "_LIST"}:
                yield pytest.param(value, id=name)


@pytest.fixture(scope="module", params=["empty", "analysed"])
def connection(request: pytest.FixtureRequest) -> Iterator[apsw.Connection]:
    opened = apsw.Connection(":memory:")
    opened.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, True)
    opened.create_scalar_function("lash_now_ms", lambda *_: 1, 0)
    for statement in SCHEMA.objects.values():
        opened.execute(statement)
    if request.param == "analysed":
        fill(opened)
    yield opened
    opened.close()


def fill(opened: apsw.Connection) -> None:
    """Enough rows, and statistics, for the planner to prefer a scan where it could."""
    with opened:
        for n in range(900):
            subscription, source = f"subscription:{n}", f"k{n % 30}"
            record = json.dumps({"subscription_id": subscription, "name": f"n{n}"})
            values = (subscription, f"s{n % 30}", f"trigger:{n}", source, record)
            opened.execute(
                "INSERT INTO host_event_trigger_subscriptions VALUES (?1, ?2, ?3, 't', ?4, 1, 0, 0, ?5)", values
            )
            opened.execute("INSERT INTO host_event_occurrences VALUES (?, ?, 'h', 't', ?, 0, '{}')", (n, n, source))
            opened.execute("INSERT INTO host_event_deliveries VALUES (?, ?, ?, 0)", (n, subscription, f"p{n}"))
            state = "reserved" if n % 30 == 0 else "started"
            opened.execute("INSERT INTO lash_host_event_starts VALUES (?, ?, ?, 1, 0, '')", (n, subscription, state))
    opened.execute("ANALYZE")


def steps(connection: apsw.Connection, sql: str) -> list[str]:
    parameters = max((int(number) for number in re.findall(r"\?(\d)", sql)), default=sql.count("?"))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("[]",) * parameters)]


def scans(connection: apsw.Connection, sql: str) -> list[str]:
    names = (*SCHEMA.objects, "s", "d", "a", "o")
    indexed = "lash_host_event_subscriptions_damaged"
    return [
        step
        for step in steps(connection, sql)
        if step.startswith("SCAN ") and step.split()[1] in names and not step.endswith(indexed)
    ]


@pytest.mark.parametrize("sql", list(statements()))
def test_no_statement_scans(connection: apsw.Connection, sql: str) -> None:
    assert [step for step in scans(connection, sql) if "seq" not in step] == []
    assert [step for step in steps(connection, sql) if "AUTOMATIC" in step] == []


def test_there_are_statements() -> None:
    assert len(list(statements())) > 20


@pytest.mark.parametrize("name", ["_ACCOUNT", "_RESERVE"])
def test_the_list_of_what_is_wanted_is_gone_through_once(connection: apsw.Connection, name: str) -> None:
    """It is the outer loop: as the inner one, it would be gone through for each subscription of the source."""
    loops = [step for step in steps(connection, RESERVING[name]) if step.startswith(("SCAN ", "SEARCH "))]
    assert loops[0].startswith("SCAN wanted")
    assert loops[1].startswith("SEARCH s ")
    assert "(subscription_id=?)" in loops[1]


def test_names_are_found_through_indexes(connection: apsw.Connection) -> None:
    found = " ".join(steps(connection, BY_NAME))
    assert "lash_host_event_subscriptions_name" in found
    assert "lash_host_event_subscriptions_damaged" in found
    assert scans(connection, BY_NAME) == []
