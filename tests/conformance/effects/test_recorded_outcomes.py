"""The first caller gets what every replay gets; a row that holds something else than it should is named."""

import asyncio
import time
from typing import Any

import pytest

from lash_store.codecs.effect_outline import envelope_outline
from lash_store.errors import EffectEnvelopeChanged, EffectRowCorrupt
from lash_store.records.effect_command import RuntimeEffectCommandLlmCall
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import RuntimeEffectOutcomeExecCode, RuntimeEffectOutcomeLlmCall
from lash_store.records.invocation import RuntimeEffectKind, RuntimeInvocation, RuntimeScope
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from lash_store.sqlite.ops import effects as ops
from tests.conformance.effects.conftest import Effects, change, rows
from tests.effects import SCOPE, Executor, exec_envelope, exec_outcome


@pytest.mark.parametrize(
    "marker",
    [(1, 2), {"b": 1, "a": [(), {"z": (None,)}]}, 1e16, -0.0, 2**64 - 1, True, "\u2028"],
    ids=repr,
)
async def test_the_first_is_as_every_replay(controller: SqliteRuntimeEffectController, marker: Any) -> None:
    first = await controller.execute_effect(exec_envelope("k", "c"), Executor(exec_outcome(marker)))
    replay = await controller.execute_effect(exec_envelope("k", "c"))
    assert repr(first) == repr(replay)
    assert first == replay


async def test_the_first_is_nobody_elses(controller: SqliteRuntimeEffectController) -> None:
    mutable: dict[str, Any] = {"a": 1}
    outcome = exec_outcome(mutable)
    first = await controller.execute_effect(exec_envelope("k", "c"), Executor(outcome))
    mutable["a"] = 2
    assert isinstance(first, RuntimeEffectOutcomeExecCode)
    assert first.result["Ok"]["terminal_finish"] == {"a": 1}
    assert await controller.execute_effect(exec_envelope("k", "c")) == first


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        *(("runtime_effect_replay", "lease_expires_at_ms", value) for value in ("abc", b"\xff", "")),
        *(("runtime_effect_replay", "due_at_ms", value) for value in ("abc", b"\xff", "")),
        ("runtime_effect_replay", "outcome_json", b"{}"),
        ("lash_effect_attempts", "scope_json", b"\xff"),
    ],
)
async def test_a_column_that_holds_something_else(effects: Effects, table: str, column: str, value: Any) -> None:
    host = await effects.host()
    controller = host.scoped(SCOPE)
    await controller.execute_effect(exec_envelope("k", "c"), Executor(exec_outcome("m")))
    await change(host, f"UPDATE {table} SET {column} = ?", value)
    with pytest.raises(EffectRowCorrupt) as corrupt:
        await controller.execute_effect(exec_envelope("k", "c"))
    assert corrupt.value.code == "sqlite_effect_replay_corrupt_row"
    assert (corrupt.value.scope_id, corrupt.value.replay_key) == ("turn", "k")
    if column.endswith("_ms"):
        with pytest.raises(EffectRowCorrupt):
            await host.list_effects("turn")
    assert await host.forget_effect("turn", "k")


@pytest.mark.parametrize("column", ["created_at_ms", "updated_at_ms"])
async def test_a_time_in_the_history_that_is_none(effects: Effects, column: str) -> None:
    host = await effects.host()
    await host.scoped(SCOPE).execute_effect(exec_envelope("k", "c"), Executor(exec_outcome("m")))
    await change(host, f"UPDATE runtime_effect_replay SET {column} = 'abc'")
    with pytest.raises(EffectRowCorrupt) as corrupt:
        await host.list_effects("turn")
    assert (corrupt.value.scope_id, corrupt.value.replay_key) == ("turn", "k")


def long_call(model: str = "m") -> RuntimeEffectEnvelope:
    """A conversation of some hundred kilobytes."""
    block = {"Text": {"text": "hello world " * 20, "response_meta": None, "cache_breakpoint": False}}
    request = {"model": model, "messages": [{"role": "User", "blocks": [block]} for _ in range(1500)]}
    invocation = RuntimeInvocation.effect(RuntimeScope("s"), "e", RuntimeEffectKind.LLM_CALL, "k")
    return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandLlmCall(request))


async def test_a_long_request_is_digested_beside_the_loop(
    controller: SqliteRuntimeEffectController, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its outline is made, for a message that may never be needed, the loop goes on."""
    turns, while_made = 0, 0

    def slowly(scope: bytes, envelope: bytes) -> str:
        nonlocal while_made
        before = turns
        time.sleep(0.2)
        while_made = turns - before
        return envelope_outline(scope, envelope)

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    monkeypatch.setattr(ops, "envelope_outline", slowly)
    turning = asyncio.ensure_future(turn())
    outcome = RuntimeEffectOutcomeLlmCall({"Err": {"message": "m"}}, False)
    first = await controller.execute_effect(long_call(), Executor(outcome))
    turning.cancel()
    assert while_made > 0
    assert await controller.execute_effect(long_call()) == first
    with pytest.raises(EffectEnvelopeChanged) as changed:
        await controller.execute_effect(long_call("other"))
    assert changed.value.paths == ("$.command.request.model",)


async def test_a_host_counts_its_claims(effects: Effects) -> None:
    host: SqliteEffectHost = await effects.host()
    await host.scoped(SCOPE).execute_effect(exec_envelope("k", "c"), Executor(exec_outcome("m")))
    assert [entry.attempts for entry in await host.list_effects("turn")] == [1]
    assert await rows(host, "SELECT count(*) FROM lash_effect_attempts") == [(1,)]
