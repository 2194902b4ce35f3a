"""Effects that either program runs, and both replay."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from lash_store import (
    EffectRefused,
    EffectScopeProcess,
    EffectScopeTurn,
    RuntimeEffectCommand,
    RuntimeEffectControllerError,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    SqliteEffectHost,
)
from tests.effects import SCOPE, Executor, exec_envelope, exec_outcome, refusing, sleep_envelope
from tests.interop.conftest import Opener
from tests.interop.driver import Alpha40, Alpha40Refused
from tests.interop.examples import RECORDS, kind_of

NEVER: Final = exec_outcome("nobody may run this")
OUTCOMES: Final = {
    kind_of(record).removeprefix("RuntimeEffectOutcome"): record
    for record in RECORDS
    if isinstance(record, RuntimeEffectOutcome)
}
COMMANDS: Final = {
    kind_of(record).removeprefix("RuntimeEffectCommand"): record
    for record in RECORDS
    if isinstance(record, RuntimeEffectCommand)
}
LOCAL: Final = sorted(COMMANDS.keys() - {"Process", "Sleep"})
"""The kinds of effects that a local executor runs."""


class Hosts:
    """The same effect database, open in both programs."""

    def __init__(self, ours: SqliteEffectHost, theirs: Alpha40) -> None:
        self.ours = ours
        self.theirs = theirs

    async def run_here(self, envelope: RuntimeEffectEnvelope, result: Any = NEVER, scope: Any = SCOPE) -> Any:
        """The outcome, and how often it was run here."""
        executor = Executor(result)
        return await self.ours.scoped(scope).execute_effect(envelope, executor), executor.calls

    async def run_there(
        self, envelope: RuntimeEffectEnvelope, result: Any = NEVER, scope: Any = SCOPE, takes_ms: int = 0
    ) -> Any:
        """The outcome, and how often it was run by alpha.40."""
        result = {"failure": result} if isinstance(result, dict) else {"outcome": result}
        done = await self.theirs("execute", scope=scope, envelope=envelope, takes_ms=takes_ms, **result)
        kind = next(
            kind for kind in RuntimeEffectOutcome.__args__ if kind.__struct_config__.tag == done["outcome"]["type"]
        )
        return kind.from_json(done["outcome"]), done["executed"]

    def by_turns(self, first: str) -> tuple[Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]]:
        return (self.run_here, self.run_there) if first == "ours" else (self.run_there, self.run_here)


@pytest_asyncio.fixture(params=["ours_first", "alpha40_first"])
async def hosts(request: pytest.FixtureRequest, opener: Opener, tmp_path: Path) -> Hosts:
    path = tmp_path / "effects.db"
    if request.param == "ours_first":
        ours = await opener.our_effects(path)
        return Hosts(ours, await opener.alpha40("effects", path))
    theirs = await opener.alpha40("effects", path)
    return Hosts(await opener.our_effects(path), theirs)


def envelope_of(name: str) -> RuntimeEffectEnvelope:
    command = COMMANDS[name]
    invocation = RuntimeInvocation.effect(
        RuntimeScope.for_turn("s", "t", 1, 0), name, RuntimeEffectKind(command.kind), name
    )
    return RuntimeEffectEnvelope.new(invocation, command)


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_an_effect_of_every_kind_is_run_once(name: str, first: str, hosts: Hosts) -> None:
    one, other = hosts.by_turns(first)
    outcome = OUTCOMES[name]
    assert await one(envelope_of(name), outcome) == (outcome, 1)
    assert await other(envelope_of(name), outcome) == (outcome, 0)
    assert await one(envelope_of(name), outcome) == (outcome, 0)


async def test_our_verdict_is_theirs(hosts: Hosts) -> None:
    envelope, failure = exec_envelope("k", "code"), RuntimeEffectControllerError("quota", "used up: ä")
    with pytest.raises(RuntimeEffectControllerError):
        await hosts.run_here(envelope, failure)
    with pytest.raises(Alpha40Refused, match=r"^quota: used up: ä$"):
        await hosts.run_there(envelope)


async def test_their_verdict_is_ours(hosts: Hosts) -> None:
    envelope = exec_envelope("k", "code")
    with pytest.raises(Alpha40Refused):
        await hosts.run_there(envelope, {"code": "quota", "message": "used up"})
    with pytest.raises(RuntimeEffectControllerError) as caught:
        await hosts.run_here(envelope)
    assert (caught.value.code, caught.value.message) == ("quota", "used up")


@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_another_envelope_under_the_same_key_is_refused(first: str, hosts: Hosts) -> None:
    one, other = hosts.by_turns(first)
    await one(exec_envelope("k", "code"), exec_outcome(1))
    for again in (one, other):
        with pytest.raises((EffectRefused, Alpha40Refused), match="sqlite_effect_replay_hash_conflict"):
            await again(exec_envelope("k", "other code"))


async def test_scopes_have_their_own_effects(hosts: Hosts) -> None:
    envelope = exec_envelope("k", "code")
    scopes: list[Any] = [EffectScopeTurn("s", "t1"), EffectScopeTurn("s", "t2"), EffectScopeProcess("p")]
    for number, scope in enumerate(scopes):
        run, again = hosts.by_turns("ours" if number % 2 else "theirs")
        assert await run(envelope, exec_outcome(number), scope) == (exec_outcome(number), 1)
        assert await again(envelope, NEVER, scope) == (exec_outcome(number), 0)


async def test_we_wait_for_their_run(hosts: Hosts) -> None:
    envelope = exec_envelope("k", "code")
    theirs = asyncio.ensure_future(hosts.run_there(envelope, exec_outcome("theirs"), takes_ms=600))
    await asyncio.sleep(0.3)
    assert await hosts.run_here(envelope) == (exec_outcome("theirs"), 0)
    assert await theirs == (exec_outcome("theirs"), 1)


async def test_they_wait_for_our_run(hosts: Hosts) -> None:
    envelope, executor = exec_envelope("k", "code"), Executor(exec_outcome("ours"), held=True)
    ours = asyncio.ensure_future(hosts.ours.scoped(SCOPE).execute_effect(envelope, executor))
    await executor.started.wait()
    theirs = asyncio.ensure_future(hosts.run_there(envelope))
    await asyncio.sleep(0.1)
    assert not theirs.done()
    executor.release()
    assert await ours == exec_outcome("ours")
    assert await theirs == (exec_outcome("ours"), 0)


async def test_both_at_once_run_each_effect_once(hosts: Hosts) -> None:
    for number in range(50):
        envelope = exec_envelope(f"k{number}", "code")
        done = await asyncio.gather(
            hosts.run_here(envelope, exec_outcome("ours")), hosts.run_there(envelope, exec_outcome("theirs"))
        )
        assert sum(executed for _, executed in done) == 1
        assert done[0][0] == done[1][0] == exec_outcome("ours" if done[0][1] else "theirs")


@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_a_sleep_is_slept_once(first: str, hosts: Hosts) -> None:
    """Both wait for the same moment: whoever asks later does not sleep all over again."""
    one, other = hosts.by_turns(first)
    loop = asyncio.get_running_loop()
    began = loop.time()
    sleeping = asyncio.ensure_future(one(sleep_envelope(1000), OUTCOMES["Sleep"]))
    await asyncio.sleep(0.5)
    await other(sleep_envelope(1000), OUTCOMES["Sleep"])
    await sleeping
    assert 0.99 <= loop.time() - began < 1.4
    began = loop.time()
    await one(sleep_envelope(1000), OUTCOMES["Sleep"])
    assert loop.time() - began < 0.8


@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_strict_replay(first: str, hosts: Hosts) -> None:
    one, _ = hosts.by_turns(first)
    await one(exec_envelope("k", "code"), exec_outcome(1))
    hosts.ours.start_replay()
    await hosts.theirs("start_replay")
    assert await hosts.run_here(exec_envelope("k", "code")) == (exec_outcome(1), 0)
    assert await hosts.run_there(exec_envelope("k", "code")) == (exec_outcome(1), 0)
    with pytest.raises(EffectRefused) as caught:
        await hosts.ours.scoped(SCOPE).execute_effect(exec_envelope("new", "code"), refusing())
    assert caught.value.code == "sqlite_effect_replay_missing"
    with pytest.raises(Alpha40Refused, match="sqlite_effect_replay_missing"):
        await hosts.run_there(exec_envelope("new", "code"))


async def test_what_was_run_is_listed(hosts: Hosts) -> None:
    for number in range(4):
        run, _ = hosts.by_turns("ours" if number % 2 else "theirs")
        await run(exec_envelope(f"k{number}", "code"), exec_outcome(number))
    listed = await hosts.ours.list_effects(SCOPE.scope_id)
    assert [(entry.replay_key, entry.status) for entry in listed] == [(f"k{n}", "completed") for n in range(4)]
    assert all(entry.envelope_hash == exec_envelope(entry.replay_key, "code").stable_hash() for entry in listed)


async def test_a_forgotten_effect_is_run_again_by_the_other(hosts: Hosts) -> None:
    envelope = exec_envelope("k", "code")
    for number in range(4):
        run, again = hosts.by_turns("ours" if number % 2 else "theirs")
        assert await run(envelope, exec_outcome(number)) == (exec_outcome(number), 1)
        assert await again(envelope) == (exec_outcome(number), 0)
        assert await hosts.ours.forget_effect(SCOPE.scope_id, "k")
