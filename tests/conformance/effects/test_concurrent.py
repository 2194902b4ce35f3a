"""Scenarios 5, 6 and 38: effects that run at the same time, and callers who want the same one."""

import asyncio

from lash_store.records.effect_command import RuntimeEffectCommandExecCode
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_scope import EffectScopeTurn
from lash_store.records.invocation import RuntimeEffectKind, RuntimeInvocation, RuntimeScope
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from tests.conformance.effects.conftest import Effects
from tests.effects import PATIENCE_S, Executor, exec_envelope, exec_outcome, refusing, seated, soon

TURN = EffectScopeTurn("effect-conformance-session", "effect-conformance-turn")


def conformance_envelope(effect_id: str) -> RuntimeEffectEnvelope:
    scope = RuntimeScope.for_turn(TURN.session_id, TURN.turn_id, 7, 0)
    key = f"effect-conformance:{TURN.turn_id}:{effect_id}"
    invocation = RuntimeInvocation.effect(scope, effect_id, RuntimeEffectKind.EXEC_CODE, key)
    return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandExecCode(f"emit {effect_id}"))


SLOW = conformance_envelope("effect-slow")
FAST = conformance_envelope("effect-fast")


async def run_both(controller: SqliteRuntimeEffectController) -> list[str]:
    """Scenario 5; returns the order in which the two ended."""
    ended: list[str] = []
    slow, fast = Executor(exec_outcome("effect-slow"), held=True), Executor(exec_outcome("effect-fast"), held=True)

    async def run(envelope: RuntimeEffectEnvelope, executor: Executor, marker: str) -> None:
        outcome = await controller.execute_effect(envelope, executor)
        assert outcome == exec_outcome(marker)
        ended.append(marker)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(run(SLOW, slow, "effect-slow"))
        second = group.create_task(run(FAST, fast, "effect-fast"))
        await asyncio.gather(slow.started.wait(), fast.started.wait())
        fast.release()
        await second
        slow.release()
    return ended


async def test_scenario_5_two_effects_at_once(effects: Effects) -> None:
    controller = (await effects.host()).scoped(TURN)
    assert await run_both(controller) == ["effect-fast", "effect-slow"]


async def test_scenario_6_their_replay(effects: Effects) -> None:
    controller = (await effects.host()).scoped(TURN)
    await run_both(controller)
    controller.start_replay()
    unused = refusing()
    async with asyncio.timeout(PATIENCE_S):
        fast, slow = await asyncio.gather(
            controller.execute_effect(FAST, unused), controller.execute_effect(SLOW, unused)
        )
    assert (fast, slow) == (exec_outcome("effect-fast"), exec_outcome("effect-slow"))
    assert unused.calls == 0


async def test_scenario_38_a_second_caller_waits(effects: Effects) -> None:
    host = await effects.host()
    first, second = Executor(exec_outcome("first"), held=True), refusing()
    running = asyncio.create_task(host.scoped(TURN).execute_effect(SLOW, first))
    await soon(asyncio.ensure_future(first.started.wait()))
    waiting = [asyncio.create_task(host.scoped(TURN).execute_effect(SLOW, second)) for _ in range(5)]
    await seated(host, SLOW, TURN, callers=5)
    first.release()
    assert [await soon(task) for task in [running, *waiting]] == [exec_outcome("first")] * 6
    assert (first.calls, second.calls) == (1, 0)


async def test_a_caller_on_another_handle_waits(file_effects: Effects) -> None:
    first, second = Executor(exec_outcome("first"), held=True), refusing()
    one, other = await file_effects.controller(), await file_effects.controller()
    running = asyncio.create_task(one.execute_effect(exec_envelope("k", "c"), first))
    await soon(asyncio.ensure_future(first.started.wait()))
    waiting = asyncio.create_task(other.execute_effect(exec_envelope("k", "c"), second))
    await seated(other, exec_envelope("k", "c"))
    first.release()
    assert await soon(waiting) == await soon(running) == exec_outcome("first")
    assert second.calls == 0
