"""Running a claimed effect, under a renewed lease, until its end is recorded (effects specification 4.4, 4.5)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from lash_store.codecs.effect_text import failure_text, outcome_text, stored_outcome
from lash_store.errors import EffectRefused, RuntimeEffectControllerError
from lash_store.records.effect_outcome import RuntimeEffectOutcome
from lash_store.rules.effect_replay import COMPLETED, FAILED, AskedEffect, require_kind
from lash_store.sqlite.effect_host.engine import EffectEngine
from lash_store.sqlite.ops.effects import EffectClaim


class _Watched:
    """A block that ends as soon as the claim is known to be lost; the news come from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = False
        self.limit = asyncio.timeout(None)

    def lost(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left who could be told
            self._loop.call_soon_threadsafe(self._end)

    def finished(self) -> None:
        self._over = True

    def _end(self) -> None:
        if not self._over:
            self.limit.reschedule(self._loop.time())


async def run_claimed(
    engine: EffectEngine, claim: EffectClaim, asked: AskedEffect, work: Callable[[], Awaitable[RuntimeEffectOutcome]]
) -> RuntimeEffectOutcome:
    """Run `work` once and record its outcome, or the RuntimeEffectControllerError that it raises; drop the claim then.

    What is returned is what every replay will return: the outcome as it was recorded.

    Whatever else it raises, and its cancellation, gives the claim up and goes on. Raises EffectLeaseLost, as soon as
    that is known, and at the latest when the end should have been recorded.
    """
    watched = _Watched()
    engine.renewals.hold(claim, watched.lost)
    try:
        try:
            end, text = await _end_of(engine, claim, asked, work, watched)
        except (Exception, asyncio.CancelledError) as error:
            await engine.release(claim, error)
            raise
        if isinstance(end, RuntimeEffectControllerError):
            await engine.finish(claim, FAILED, None, text)
            raise end
        await engine.finish(claim, COMPLETED, text, None)
        return end
    finally:
        engine.renewals.drop(claim)


async def _end_of(
    engine: EffectEngine,
    claim: EffectClaim,
    asked: AskedEffect,
    work: Callable[[], Awaitable[RuntimeEffectOutcome]],
    watched: _Watched,
) -> tuple[RuntimeEffectOutcome | RuntimeEffectControllerError, str]:
    """The outcome of `work`, or the failure that it has instead, and the text that is recorded of it."""
    try:
        async with watched.limit:
            outcome = await work()
    except EffectRefused:
        raise
    except RuntimeEffectControllerError as error:
        return error, failure_text(error)
    except TimeoutError:
        if watched.limit.expired():
            raise engine.lease_lost(claim) from engine.renewals.error
        raise
    finally:
        watched.finished()
    require_kind(asked, outcome)
    text = outcome_text(outcome)
    return stored_outcome(text, asked.scope_id, asked.replay_key), text
