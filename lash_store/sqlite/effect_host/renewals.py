"""Keeps the leases of running effects from running out, on a thread of its own: a busy event loop does not stop it."""

import threading
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, TypeAlias

from lash_store.errors import StoreClosed, StoreError
from lash_store.sqlite.database import Database
from lash_store.sqlite.ops import effects as ops
from lash_store.sqlite.ops.effects import EffectClaim

_RENEWALS_PER_TTL: Final = 3  # two may fail
_LARGEST_PLAN: Final = 256  # claims renewed in one transaction: others want to write, too

_OnLost: TypeAlias = Callable[[], None]


class LeaseRenewals:
    """The claims of one host, and the thread that renews them.

    The thread begins with the first claim, and ends at its first look, one in a third of the time to live, that finds
    none held.
    """

    def __init__(self, database: Database, lease_ttl_ms: int) -> None:
        self._database = database
        self._ttl_ms = lease_ttl_ms
        self._interval_s = min(max(lease_ttl_ms / _RENEWALS_PER_TTL, 1) / 1000, threading.TIMEOUT_MAX)
        self._lock = threading.Lock()
        self._held: dict[EffectClaim, _OnLost | None] = {}
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._error: StoreError | None = None

    @property
    def error(self) -> StoreError | None:
        """Why the last renewal failed, if it did: what a claim was lost for."""
        return self._error

    def hold(self, claim: EffectClaim, on_lost: _OnLost | None = None) -> None:
        """Renew `claim` from now on; `on_lost` is called, on the thread, if it turns out to be somebody else's.

        Hold a claim before it is committed: nothing that delays its caller then keeps it from being renewed. Hold it
        again, with `on_lost`, when it is: only from then on does not finding it mean that it is lost.
        """
        with self._lock:
            self._held[claim] = on_lost
            if self._thread is None and not self._stopped.is_set():
                name = f"lash_store effect leases {self._database.path}"
                self._thread = threading.Thread(target=self._renew_in_turn, name=name, daemon=True)
                self._thread.start()

    def drop(self, claim: EffectClaim) -> None:
        """Renew `claim` no more; a renewal that is under way may still do so once."""
        with self._lock:
            self._held.pop(claim, None)

    def stop(self) -> threading.Thread | None:
        """Renew nothing more; returns the thread, which ends when the renewal that is under way does, if there is one.

        In a child process it does nothing: the thread is the parent's, and may have held locks when it was forked.
        """
        if self._database._inherited():  # noqa: SLF001  of this package, like the handle
            return None
        self._stopped.set()
        return self._thread

    def renew_now(self) -> None:
        """Renew what is held. Raises nothing: a failure is kept in `error`, and the next renewal may succeed."""
        with self._lock:
            held = dict(self._held)
        rest = iter(held.items())
        while some := dict(islice(rest, _LARGEST_PLAN)):
            self._renew(some)

    def _renew_in_turn(self) -> None:
        while not self._stopped.wait(self._interval_s):
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
            self.renew_now()

    def _renew(self, held: Mapping[EffectClaim, _OnLost | None]) -> None:
        claims = list(held)
        try:
            result = self._database.run(ops.renew(claims, self._ttl_ms))
        except StoreError as error:
            self._error = error
            if isinstance(error, StoreClosed):
                self._stopped.set()
            return
        self._error = None
        for claim in ops.lost(claims, result):
            on_lost = held[claim]
            if on_lost is None:
                continue  # it was not committed yet when this renewal began, though it may be by now
            with self._lock:
                still_held = self._held.pop(claim, None) is not None
            if still_held:
                on_lost()
