"""What stands in the tables: the same operations leave the same rows, whichever program performs them."""

import json
import re
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
import pytest

from lash_store import (
    Append,
    ProcessLeaseCompletion,
    ProcessScope,
    QueuedWorkBatchDraft,
    RuntimeEffectControllerError,
    SessionMeta,
    Unchanged,
)
from tests.conformance.session_store.examples import IDLE, draft, intent, message, root_commit
from tests.effects import SCOPE, Executor, exec_envelope, exec_outcome
from tests.host_event_examples import draft as subscription
from tests.host_event_examples import pressed
from tests.interop.conftest import Opener
from tests.interop.driver import Alpha40Refused
from tests.interop.examples import EVERYTHING, RECORDS
from tests.interop.registries import Registry
from tests.interop.stores import Session
from tests.interop.test_host_events import Events, TheirEvents
from tests.interop.test_processes import request
from tests.process_examples import DESCRIPTOR, OK, plain_type, registration, wake_type
from tests.records.process_examples import REFERENCE

DRAFTS = [record for record in RECORDS if isinstance(record, QueuedWorkBatchDraft)]
BY_THE_CLOCK: Final = {
    "attempts",
    "claim_claimed_at_ms",
    "claim_expires_at_ms",
    "claim_owner_id",
    "claim_token",
    "claimed_at_ms",
    "committed_at_ms",
    "created_at_ms",
    "enqueued_at_ms",
    "expires_at_ms",
    "lease_claimed_at_ms",
    "lease_expires_at_ms",
    "lease_token",
    "nanos_since_epoch",
    "occurred_at_ms",
    "secs_since_epoch",
    "updated_at_ms",
}
"""Columns and keys that hold times, or ids that are made of times or of random numbers."""


def logical(stored: bytes) -> Any:
    """What a blob holds, without its compression, which may be any valid one (specification 3.10)."""
    try:
        envelope = msgspec.msgpack.decode(stored)
        content = bytes(envelope["content"])
        return envelope["descriptor"], zlib.decompress(content) if envelope["compression"] == "Zlib" else content
    except (msgspec.DecodeError, TypeError, KeyError):
        return stored


def timeless(value: Any) -> Any:
    """A JSON value whose times are only said to be there."""
    if isinstance(value, dict):
        return {key: type(item) if key in BY_THE_CLOCK else timeless(item) for key, item in value.items()}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def comparable(name: str, value: Any) -> Any:
    if name in ("batch_id", "item_id"):
        return re.sub("[0-9a-f]{64}", "hash", value)
    if name in BY_THE_CLOCK:
        return type(value)
    if name.endswith("_json") and isinstance(value, str):
        # Keys in their order, and numbers as they are spelt: the text, but for the times.
        return json.dumps(timeless(json.loads(value, parse_float=str)), ensure_ascii=False, default=str)
    return logical(value) if isinstance(value, bytes) else value


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of alpha.40's."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    tables = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for table in tables:
        if table.startswith(("lash_", "sqlite_")):
            continue
        names = [name for _, name, *_ in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))]
        found[table] = [
            {name: comparable(name, value) for name, value in zip(names, row, strict=True)}
            for row in connection.execute(f"SELECT * FROM {table}")
        ]
        if table in ("blobs", "artifact_refs"):
            found[table].sort(key=repr)
    connection.close()
    return found


async def session_operations(session: Session) -> None:
    """A bit of everything, without a claim given back: what was claimed and when stands in the rows."""
    await session.save_session_meta(SessionMeta("root", "n", "unix:1", "m", None))
    for name in "abc":
        await session.record_intent(intent(name))
    await session.forget("c")
    for wanted in DRAFTS:
        await session.enqueue_queued_work(msgspec.structs.replace(wanted, session_id="root"))
    for text in ("done", "claimed", "free"):
        await session.enqueue_queued_work(draft(text, key=f"key:{text}"))
    done = await session.claim_ready_queued_work("root", "o", IDLE, 60_000, len(DRAFTS))
    assert done is not None
    stamped = EVERYTHING.with_committed_attachments(["a"]).with_turn_commit("t1")  # the hash does not know the tokens
    await session.commit_runtime_state(stamped.completing_queue_claims([done.completion()]))
    following = Append([message("x", "n2", text='äö\u0000\u2028\x7f"\\')], "x")
    await session.commit_runtime_state(
        root_commit(graph=following, checkpoint=EVERYTHING.checkpoint, agent_frames=EVERYTHING.agent_frames)
    )
    await session.tombstone_nodes(["n0"])
    await session.commit_runtime_state(root_commit(graph=Unchanged("n1")).with_turn_commit("t2"))
    await session.claim_ready_queued_work("root", "o", IDLE, 60_000, 1)
    await session.put_blob(b"raw")


async def process_operations(registry: Registry) -> None:
    scope, frame = ProcessScope("s"), ProcessScope("s", "f")
    await registry.register_process(registration("p", plain_type("x"), wake_type("w")))
    await registry.register_process(registration("q"))
    await registry.set_external_ref("p", REFERENCE)
    payload = {"wake_input": "ä", "z": [1.5, None, 2**64 - 1], "a": {"y": 1, "b": {}}}
    for name, key in [("x", None), ("w", "k"), ("w", None)]:
        await registry.append_event("p", request(name, payload, key, frame))
    await registry.ack_wake("p", 2)
    await registry.grant_handle(scope, "p", DESCRIPTOR)
    await registry.grant_handle(frame, "q", DESCRIPTOR)
    await registry.transfer_handle_grants(frame, ProcessScope("t"), ["q"])
    await registry.claim_process_lease("p", "owner", 60_000)
    lease = await registry.claim_process_lease("q", "owner", 60_000)
    await registry.complete_process("q", OK)
    await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(lease))


async def event_operations(events: Events) -> None:
    for number in range(3):
        await events.register_subscription(subscription(f"n{number}", source={"z": [1.5], "a": number}))
    await events.cancel_subscription("session-a", "trigger:2")
    occurrence = await events.record_occurrence(pressed(payload={"z": {"b": 1, "a": None}}))
    await events.reserve_matching_deliveries(occurrence.occurrence_id)


async def test_rows_of_a_session(opener: Opener, tmp_path: Path) -> None:
    await session_operations(await opener.ours(tmp_path / "ours.db"))
    await session_operations(await opener.theirs(tmp_path / "theirs.db"))
    assert_same_rows(tmp_path, 10)


async def test_rows_of_processes(opener: Opener, tmp_path: Path) -> None:
    await process_operations(await opener.our_registry(tmp_path / "ours.db"))
    await process_operations(await opener.their_registry(tmp_path / "theirs.db"))
    assert_same_rows(tmp_path, 5)


async def test_rows_of_host_events(opener: Opener, tmp_path: Path) -> None:
    await event_operations(await opener.our_events(tmp_path / "ours.db"))
    await event_operations(TheirEvents(await opener.alpha40("host_events", tmp_path / "theirs.db")))
    assert_same_rows(tmp_path, 4)


async def test_rows_of_effects(opener: Opener, tmp_path: Path) -> None:
    envelope, outcome = exec_envelope("k", "code"), exec_outcome({"z": 1.5, "a": ["ä", None]})
    failed = exec_envelope("failed", "code")
    ours, theirs = (
        await opener.our_effects(tmp_path / "ours.db"),
        await opener.alpha40("effects", tmp_path / "theirs.db"),
    )
    await ours.scoped(SCOPE).execute_effect(envelope, Executor(outcome))
    with pytest.raises(RuntimeEffectControllerError):
        await ours.scoped(SCOPE).execute_effect(failed, Executor(RuntimeEffectControllerError("c", "m")))
    await theirs("execute", scope=SCOPE, envelope=envelope, outcome=outcome)
    with pytest.raises(Alpha40Refused):
        await theirs("execute", scope=SCOPE, envelope=failed, failure={"code": "c", "message": "m"})
    assert_same_rows(tmp_path, 1)


def assert_same_rows(folder: Path, tables: int) -> None:
    """None of the tables is empty."""
    ours, theirs = rows_of(folder / "ours.db"), rows_of(folder / "theirs.db")
    assert len(theirs) == tables
    for table, rows in theirs.items():
        assert ours[table] == rows, table
        assert rows or table == "artifact_refs"
    assert ours.keys() == theirs.keys()


@pytest.mark.parametrize("kind", ["session", "processes", "effects", "host_events"])
async def test_the_schema(kind: str, opener: Opener, tmp_path: Path) -> None:
    """Beside what begins with `lash_`, both programs make the same tables, columns, keys and indexes."""
    make: dict[str, Callable[[Path], Awaitable[object]]] = {
        "session": opener.ours,
        "processes": opener.our_registry,
        "effects": opener.our_effects,
        "host_events": opener.our_events,
    }
    await make[kind](tmp_path / "ours.db")
    await opener.alpha40(kind, tmp_path / "theirs.db")
    assert schema_of(tmp_path / "ours.db") == schema_of(tmp_path / "theirs.db")


def schema_of(path: Path) -> dict[str, Any]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found: dict[str, Any] = {what: connection.pragma(what) for what in ("user_version", "journal_mode", "page_size")}
    for kind, name, table, sql in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall():
        if str(name).startswith(("lash_", "sqlite_stat")):
            continue
        about = ("table_xinfo", "foreign_key_list") if kind == "table" else ("index_xinfo",)
        columns = [connection.execute(f"SELECT * FROM pragma_{what}(?)", (name,)).fetchall() for what in about]
        text = "".join(str(sql).split()).lower() if kind == "index" else ""
        found[f"{kind} {name}"] = table, text, columns
    connection.close()
    return found
