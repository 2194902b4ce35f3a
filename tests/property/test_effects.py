"""Two hosts on one file against a model in plain Python: whatever happens in whatever order, an effect ends once.

Callers ask for few effects, so that they meet; their executors are held, and end as the test says. Time is injected,
and leases are so long that nothing is renewed but by the test.
"""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lash_store.errors import EffectEnvelopeChanged, EffectLeaseLost, EffectRefused, RuntimeEffectControllerError
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from tests.clocks import ManualClock
from tests.effects import PATIENCE_S, SCOPE, Executor, exec_envelope, exec_outcome

T = TypeVar("T")

TTL_MS: Final = 1_000_000
ROWS: Final = """
SELECT replay_key, envelope_hash, status, attempts, lease_expires_at_ms
FROM runtime_effect_replay LEFT JOIN lash_effect_attempts USING (scope_id, replay_key)
"""
HOSTS, KEYS, CODES = st.sampled_from([0, 1]), st.sampled_from(["a", "b"]), st.sampled_from(["x", "x", "x", "y"])
PICKS = st.integers(0, 99)  # of those who run: which of several waiters takes over is not ours to say
STRICT = st.sampled_from([False] * 7 + [True])
ENDS = st.sampled_from(["outcome", "verdict", "crash", "cancel"])


class CrashError(Exception):
    """What an executor raises that says nothing about the effect."""


@dataclass(eq=False)
class Caller:
    """A caller of execute_effect, and what the model knows of it."""

    number: int
    host: int
    key: str
    code: str
    executor: Executor
    task: "asyncio.Task[Any]"


@dataclass
class Row:
    """What the file should hold of an effect."""

    code: str
    status: str
    attempts: int
    expires: int
    holder: Caller | None
    ended_by: Caller | None = None


class Effects(RuleBasedStateMachine):
    """The machine: `running` callers are in their executors (holders, or stale ones), `waiting` ones wait for them."""

    @initialize()
    def open_hosts(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.rows: dict[str, Row] = {}
        self.running: list[Caller] = []
        self.waiting: list[Caller] = []
        self.asked = 0
        path = Path(self.folder.name, "effects.db")
        self.hosts = [self.run(SqliteEffectHost.open(path, lease_ttl_ms=TTL_MS, clock=self.clock)) for _ in range(2)]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE_S):
                return await work

        return self.runner.run(bounded())

    @rule(host=HOSTS, key=KEYS, code=CODES, strict=STRICT)
    def ask(self, host: int, key: str, code: str, strict: bool) -> None:
        self.run(self._ask(host, key, code, strict))

    async def _ask(self, host: int, key: str, code: str, strict: bool) -> None:
        self.asked += 1
        executor = Executor(held=True)
        work = self.hosts[host].scoped(SCOPE, strict_replay=strict).execute_effect(exec_envelope(key, code), executor)
        caller = Caller(self.asked, host, key, code, executor, asyncio.ensure_future(work))
        row = self.rows.get(key)
        if row is not None and row.code != code:
            assert isinstance(await self.error_of(caller), EffectEnvelopeChanged)
        elif row is not None and row.status in ("completed", "failed"):
            await self.expect_result(caller, row)
        elif strict:
            error = await self.error_of(caller)
            assert isinstance(error, EffectRefused)
            assert error.code == "sqlite_effect_replay_missing"
        elif row is not None and row.expires > self.clock.now:
            self.waiting.append(caller)
            await asyncio.sleep(0.002)
        else:
            await caller.executor.started.wait()
            self.claimed(caller)

    @rule(pick=PICKS, host=HOSTS)
    def overtake(self, pick: int, host: int) -> None:
        """Somebody's lease ends, and somebody else asks for what it runs."""
        if self.running:
            caller = self.running[pick % len(self.running)]
            self.let_time_pass(TTL_MS)
            self.ask(host, caller.key, caller.code, strict=False)

    @rule(pick=PICKS, end=ENDS)
    def end(self, pick: int, end: str) -> None:
        if self.running:
            self.run(self._end(self.running[pick % len(self.running)], end))

    async def _end(self, caller: Caller, end: str) -> None:
        self.running.remove(caller)
        row = self.rows.get(caller.key)
        holds = row is not None and row.holder is caller
        results = {
            "outcome": exec_outcome(caller.number),
            "verdict": RuntimeEffectControllerError("no", f"{caller.number}"),
            "crash": CrashError(),
        }
        if end == "cancel":
            caller.task.cancel()
        else:
            caller.executor.result = results[end]
            caller.executor.release()
        await asyncio.wait({caller.task})
        if row is None or not holds:
            expected = {"crash": CrashError, "cancel": asyncio.CancelledError}.get(end, EffectLeaseLost)
            assert isinstance(await self.error_of(caller), expected)
            return
        row.holder, row.expires = None, 0
        if end in ("outcome", "verdict"):
            row.status, row.ended_by = ("completed" if end == "outcome" else "failed"), caller
            await self.expect_result(caller, row)
        else:
            await self.error_of(caller)
        await self._settle()

    @rule(step=st.sampled_from([TTL_MS // 2, TTL_MS, -TTL_MS]))
    def let_time_pass(self, step: int) -> None:
        self.clock.advance(step)
        self.run(self._settle())

    @rule(host=HOSTS)
    def renew(self, host: int) -> None:
        self.run(self._renew(host))

    async def _renew(self, host: int) -> None:
        self.hosts[host]._engine.renewals.renew_now()
        for caller in [caller for caller in self.running if caller.host == host]:
            row = self.rows.get(caller.key)
            if row is not None and row.holder is caller:
                row.expires = max(row.expires, self.clock.now + TTL_MS)
            else:
                self.running.remove(caller)
                assert isinstance(await self.error_of(caller), EffectLeaseLost)

    @rule(host=HOSTS, key=KEYS)
    def forget(self, host: int, key: str) -> None:
        row = self.rows.get(key)
        free = row is not None and not (row.status == "in_progress" and row.expires > self.clock.now)
        assert self.run(self.hosts[host].forget_effect("turn", key)) == free
        if free:
            del self.rows[key]

    async def _settle(self) -> None:
        """Whoever waits for what is decided now is answered; of those who wait for what is free, one runs it."""
        self._wake()
        for key, row in self.rows.items():
            waiting = [caller for caller in self.waiting if caller.key == key]
            if row.status in ("completed", "failed"):
                for caller in waiting:
                    self.waiting.remove(caller)
                    await self.expect_result(caller, row)
            elif waiting and row.expires <= self.clock.now:
                started = [asyncio.ensure_future(caller.executor.started.wait()) for caller in waiting]
                while not any(start.done() for start in started):
                    self._wake()
                    await asyncio.wait(started, timeout=0.005, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0.002)  # should a second one run it, too, that is seen by the invariant
                (next_one,) = [caller for caller, start in zip(waiting, started, strict=True) if start.done()]
                for start in started:
                    start.cancel()
                self.waiting.remove(next_one)
                self.claimed(next_one)

    def _wake(self) -> None:
        """Have all who wait look again: the clock was moved, and they would find out in a while only."""
        for host in self.hosts:
            host._engine._room.changed()

    def claimed(self, caller: Caller) -> None:
        row = self.rows.get(caller.key)
        attempts = 1 if row is None else row.attempts + 1
        self.rows[caller.key] = Row(caller.code, "in_progress", attempts, self.clock.now + TTL_MS, caller)
        self.running.append(caller)

    async def error_of(self, caller: Caller) -> BaseException:
        await asyncio.wait({caller.task})
        if caller.task.cancelled():
            return asyncio.CancelledError()
        error = caller.task.exception()
        assert error is not None
        return error

    async def expect_result(self, caller: Caller, row: Row) -> None:
        assert row.ended_by is not None
        if row.status == "completed":
            assert await caller.task == exec_outcome(row.ended_by.number)
            return
        error = await self.error_of(caller)
        assert isinstance(error, RuntimeEffectControllerError)
        assert (error.code, error.message) == ("no", f"{row.ended_by.number}")

    @invariant()
    def the_file_is_as_the_model_says(self) -> None:
        found = self.run(self.hosts[0]._read(lambda connection: connection.execute(ROWS).fetchall()))
        assert {key: tuple(rest) for key, *rest in found} == {
            key: (exec_envelope(key, row.code).stable_hash(), row.status, row.attempts, row.expires)
            for key, row in self.rows.items()
        }
        assert not any(caller.task.done() for caller in [*self.running, *self.waiting])
        assert not any(caller.executor.calls for caller in self.waiting)
        assert all(caller.executor.calls == 1 for caller in self.running)

    def teardown(self) -> None:
        if not hasattr(self, "hosts"):
            return
        self.run(self._leave())
        self.runner.close()
        self.folder.cleanup()

    async def _leave(self) -> None:
        tasks = [caller.task for caller in [*self.running, *self.waiting]]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for host in self.hosts:
            await host.close()


TestEffects = Effects.TestCase
TestEffects.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
