"""What is refused: in strict replay, of changed envelopes, of scopes that share an id, of rows that cannot be read."""

import asyncio
from typing import Any

import pytest

from lash_store.errors import (
    EffectEnvelopeChanged,
    EffectLeaseLost,
    EffectRefused,
    EffectRowCorrupt,
    InvalidRecord,
    StoreCorrupt,
)
from lash_store.records.effect_command import RuntimeEffectCommandDirect
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_scope import EffectScopeProcess, EffectScopeTurn
from lash_store.rules.effect_invocations import direct_call_invocation
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from tests.clocks import ManualClock
from tests.conformance.effects.conftest import Effects, change, rows
from tests.effects import SCOPE, Executor, exec_envelope, exec_outcome, refusing, seated, sleep_envelope, soon

WORK = exec_envelope("work", "w")
INSERT = """
INSERT INTO runtime_effect_replay VALUES ('turn', 'work', ?1, ?2, ?3, ?4, NULL, NULL, ?5, NULL, 1, 1)
"""


async def refusal(controller: SqliteRuntimeEffectController, envelope: RuntimeEffectEnvelope = WORK) -> EffectRefused:
    unused = refusing()
    with pytest.raises(EffectRefused) as refused:
        await soon(asyncio.ensure_future(controller.execute_effect(envelope, unused)))
    assert unused.calls == 0
    return refused.value


@pytest.mark.parametrize("envelope", [WORK, sleep_envelope(1)])
async def test_strict_replay_runs_nothing_new(
    controller: SqliteRuntimeEffectController, envelope: RuntimeEffectEnvelope
) -> None:
    controller.start_replay()
    error = await refusal(controller, envelope)
    assert error.code == "sqlite_effect_replay_missing"
    assert repr(envelope.replay_key) in error.message
    assert "'turn'" in error.message
    assert await rows(controller, "SELECT * FROM runtime_effect_replay") == []


async def test_strict_replay_takes_over_nothing_and_waits_for_nobody(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host()
    running = asyncio.ensure_future(
        host.scoped(SCOPE).execute_effect(WORK, held := Executor(exec_outcome(1), held=True))
    )
    await soon(asyncio.ensure_future(held.started.wait()))
    host.start_replay()
    assert (await refusal(host.scoped(SCOPE))).code == "sqlite_effect_replay_missing"
    clock.advance(60_000)
    assert (await refusal(host.scoped(SCOPE))).code == "sqlite_effect_replay_missing"
    held.release()
    assert await soon(running) == exec_outcome(1)
    assert await host.scoped(SCOPE).execute_effect(WORK, refusing()) == exec_outcome(1)


async def test_strict_replay_ends_and_may_concern_one_controller(effects: Effects) -> None:
    host = await effects.host()
    host.start_replay()
    free = host.scoped(SCOPE, strict_replay=False)
    assert await free.execute_effect(WORK, Executor(exec_outcome(1))) == exec_outcome(1)
    host.stop_replay()
    other = exec_envelope("other", "o")
    assert (await refusal(host.scoped_static(SCOPE, strict_replay=True), other)).code == "sqlite_effect_replay_missing"
    assert await host.scoped(SCOPE).execute_effect(other, Executor(exec_outcome(2))) == exec_outcome(2)
    own = host.scoped(SCOPE)
    own.start_replay()
    assert (await refusal(host.scoped(SCOPE), exec_envelope("third", "t"))).code == "sqlite_effect_replay_missing"
    own.stop_replay()
    assert await own.execute_effect(exec_envelope("third", "t"), Executor(exec_outcome(3))) == exec_outcome(3)


@pytest.mark.parametrize("status", ["completed", "failed", "in_progress", "strange"])
@pytest.mark.parametrize("strict", [True, False])
async def test_a_changed_envelope_of_a_row_of_lash(
    controller: SqliteRuntimeEffectController, status: str, strict: bool
) -> None:
    """It keeps the hash alone; the status does not count, nor does a lease that has ended."""
    await change(controller, INSERT, "0" * 64, status, '{"type":"sleep"}', None, 0)
    if strict:
        controller.start_replay()
    error = await refusal(controller)
    assert isinstance(error, EffectEnvelopeChanged)
    assert (error.code, error.paths) == ("sqlite_effect_replay_hash_conflict", ())
    assert "only the hash is known" in error.message


def direct(text: str, *, model: str = "m", tools: Any = ()) -> RuntimeEffectEnvelope:
    request = {
        "model": model,
        "messages": [{"role": "User", "blocks": [{"Text": {"text": each}}]} for each in ("hi", text)],
        "tools": list(tools),
        "tool_choice": "Auto",
    }
    return RuntimeEffectEnvelope.new(
        direct_call_invocation("s", "t", "u", "request:k"), RuntimeEffectCommandDirect(request, "u")
    )


async def test_every_path_that_differs_is_named(effects: Effects) -> None:
    host = await effects.host()
    with pytest.raises(ValueError, match="not now"):
        await host.scoped(SCOPE).execute_effect(direct("there"), Executor(ValueError("not now")))
    tool = {"name": "t", "description": "", "input_schema": {}, "output_schema": {}}
    error = await refusal(host.scoped(SCOPE), direct("you", model="n", tools=[tool]))
    assert isinstance(error, EffectEnvelopeChanged)
    assert error.paths == (
        "$.command.request.model",
        "$.command.request.messages[1].blocks[0].Text.text",
        "$.command.request.tools[0]",
    )
    assert all(path in error.message for path in error.paths)


@pytest.mark.parametrize(
    ("other", "paths"),
    [
        (EffectScopeTurn("session-b", "turn"), ("$.scope.session_id",)),
        (EffectScopeProcess("turn"), ("$.scope.type", "$.scope.session_id", "$.scope.turn_id", "$.scope.process_id")),
    ],
)
async def test_scopes_that_share_an_id_share_no_history(effects: Effects, other: Any, paths: Any) -> None:
    host = await effects.host()
    await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome(1)))
    error = await refusal(host.scoped(other))
    assert isinstance(error, EffectEnvelopeChanged)
    assert error.paths == paths


@pytest.mark.parametrize(
    ("status", "outcome", "failure", "code"),
    [
        ("completed", None, None, "sqlite_effect_replay_corrupt_row"),
        ("failed", None, None, "sqlite_effect_replay_corrupt_row"),
        ("strange", None, None, "sqlite_effect_replay_corrupt_row"),
        ("completed", "{}", None, "sqlite_effect_replay_decode"),
        ("completed", '{"type":"nap"}', None, "sqlite_effect_replay_decode"),
        ("completed", '{"type":"exec_code","result":{"Ok":1,"Err":2}}', None, "sqlite_effect_replay_decode"),
        ("completed", '{"type":"exec_code"}', None, "sqlite_effect_replay_decode"),
        ("completed", "[", None, "sqlite_effect_replay_decode"),
        ("failed", None, '{"code":"x"}', "sqlite_effect_replay_decode"),
        ("completed", '{"type":"sleep"}', None, "runtime_effect_wrong_outcome"),
    ],
)
async def test_a_row_that_cannot_be_replayed(
    effects: Effects, status: str, outcome: str | None, failure: str | None, code: str
) -> None:
    host = await effects.host()
    await change(host, INSERT, WORK.stable_hash(), status, outcome, failure, 0)
    before = await rows(host, "SELECT * FROM runtime_effect_replay")
    error = await refusal(host.scoped(SCOPE))
    assert error.code == code
    assert await rows(host, "SELECT * FROM runtime_effect_replay") == before
    if code != "runtime_effect_wrong_outcome":
        assert isinstance(error, EffectRowCorrupt)
        assert isinstance(error, StoreCorrupt)
        assert (error.kind, error.key) == ("effect", "turn/work")
        assert isinstance(error.__cause__, InvalidRecord) == (code == "sqlite_effect_replay_decode")
    assert await host.forget_effect("turn", "work")
    assert await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("again"))) == exec_outcome("again")


async def test_a_row_of_lash_with_keys_of_a_later_version(effects: Effects) -> None:
    host = await effects.host()
    outcome = '{"new":1,"result":{"Ok":{"error":null}},"type":"exec_code"}'
    await change(host, INSERT, WORK.stable_hash(), "completed", outcome, None, 0)
    replayed: Any = await host.scoped(SCOPE).execute_effect(WORK)
    assert replayed.result == {"Ok": {"error": None}}


NO_UTF8 = "CAST(x'7bff7d' AS TEXT)"


@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE runtime_effect_replay SET outcome_json = {NO_UTF8}",
        f"UPDATE runtime_effect_replay SET envelope_hash = {NO_UTF8}",
        f"UPDATE runtime_effect_replay SET status = {NO_UTF8}",
        f"UPDATE runtime_effect_replay SET status = 'failed', error_json = {NO_UTF8}",
        f"UPDATE lash_effect_attempts SET scope_json = {NO_UTF8}",
        f"UPDATE lash_effect_attempts SET outline = {NO_UTF8}",
    ],
)
async def test_text_that_is_no_utf8(effects: Effects, damage: str) -> None:
    host = await effects.host()
    await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome(1)))
    await change(host, damage)
    asked = exec_envelope("work", "changed") if "outline" in damage else WORK
    error = await refusal(host.scoped(SCOPE), asked)
    assert isinstance(error, EffectRowCorrupt)
    assert (error.code, error.scope_id, error.replay_key) == ("sqlite_effect_replay_decode", "turn", "work")
    assert isinstance(error.__cause__, UnicodeDecodeError)
    assert await host.forget_effect("turn", "work")
    assert await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome(2))) == exec_outcome(2)


async def test_a_damaged_effect_does_not_concern_who_waits_for_another(effects: Effects) -> None:
    host = await effects.host()
    executors = [Executor(exec_outcome(key), held=True) for key in ("a", "b")]
    effect = [exec_envelope(key, "c") for key in ("a", "b")]
    running = [
        asyncio.create_task(host.scoped(SCOPE).execute_effect(asked, executor))
        for asked, executor in zip(effect, executors, strict=True)
    ]
    for executor in executors:
        await soon(asyncio.ensure_future(executor.started.wait()))
    waiting = [asyncio.create_task(host.scoped(SCOPE).execute_effect(asked, refusing())) for asked in effect]
    for asked in effect:
        await seated(host, asked)
    await change(host, f"UPDATE runtime_effect_replay SET status = {NO_UTF8} WHERE replay_key = 'a'")
    host._engine._room.changed()
    with pytest.raises(EffectRowCorrupt):
        await soon(waiting[0])
    assert not waiting[1].done()
    executors[1].release()
    assert await soon(waiting[1]) == await soon(running[1]) == exec_outcome("b")
    executors[0].release()
    with pytest.raises(EffectLeaseLost):
        await soon(running[0])
