"""Executes effect after effect until it is killed: says when it runs one, and what came out, whoever ran it.

Some effects it never ends: it is killed in their middle, while its lease is renewed.
"""

import asyncio
import os
import random
from itertools import count
from multiprocessing.connection import Connection
from typing import Final

from lash_store.errors import EffectLeaseLost
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import RuntimeEffectOutcome, RuntimeEffectOutcomeExecCode
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from tests.effects import SCOPE, exec_envelope, exec_outcome

LEASE_TTL_MS: Final = 40
RUN: Final = "run"
HANG: Final = "hang"
END: Final = "end"


def marker(outcome: RuntimeEffectOutcome) -> str:
    """What tells one run of an effect from another."""
    assert isinstance(outcome, RuntimeEffectOutcomeExecCode)
    return str(outcome.result["Ok"]["terminal_finish"])


async def _work(path: str, first: int, sending: Connection) -> None:
    controller = await SqliteRuntimeEffectController.open(path, SCOPE, lease_ttl_ms=LEASE_TTL_MS)
    runs = count()

    async def run(envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        hangs = random.random() < 0.5
        sending.send((HANG if hangs else RUN, int(envelope.replay_key), ""))
        await (asyncio.Event().wait() if hangs else asyncio.sleep(random.random() * 0.008))
        return exec_outcome(f"{os.getpid()}:{next(runs)}")

    number = first
    while True:
        try:
            outcome = await controller.execute_effect(exec_envelope(f"{number}", "work"), run)
        except EffectLeaseLost:
            continue  # a slow machine: others have taken over
        sending.send((END, number, marker(outcome)))
        number += 1


def work(path: str, first: int, sending: Connection) -> None:
    """Go on from effect `first`; `sending` hears (RUN, HANG or END, the effect's number, the marker of its outcome)."""
    asyncio.run(_work(path, first, sending))
