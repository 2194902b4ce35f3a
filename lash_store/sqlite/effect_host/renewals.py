"""Keeps the leases of running effects from running out, on a thread of its own: a busy event loop does not stop it."""

import threading
from collections.abc import Callable
from typing import Final

from lash_store.errors import StoreClosed, StoreError
from lash_store.sqlite.database import Database
from lash_store.sqlite.ops import effects as ops
from lash_store.sqlite.ops.effects import EffectClaim

_RENEWALS_PER_TTL: Final = 3  # two may fail
_LARGEST_PLAN: Final = 256  # claims renewed in one transaction: others want to write, too


class LeaseRenewals:
    """The claims of one host, and the thread that renews them; it exists only while claims are held."""

    def __init__(self, database: Database, lease_ttl_ms: int) -> None:
        self._database = database
        self._ttl_ms = lease_ttl_ms
        self._interval_s = min(max(lease_ttl_ms / _RENEWALS_PER_TTL, 1) / 1000, threading.TIMEOUT_MAX)
        self._lock = threading.Lock()
        self._held: dict[EffectClaim, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._error: StoreError | None = None

    @property
    def error(self) -> StoreError | None:
        """Why the last renewal failed, if it did: what a claim was lost for."""
        return self._error

    def hold(self, claim: EffectClaim, on_lost: Callable[[], None]) -> None:
        """Renew `claim` from now on; `on_lost` is called, on the thread, if it turns out to be somebody else's."""
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

    def stop(self) -> None:
        """Renew nothing more. The thread ends when the renewal that is under way does; wait for it with `join`."""
        self._stopped.set()

    def join(self) -> None:
        """Wait for the end of the thread."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def renew_now(self) -> None:
        """Renew what is held. Raises nothing: a failure is kept in `error`, and the next renewal may succeed."""
        with self._lock:
            held = list(self._held)
        for start in range(0, len(held), _LARGEST_PLAN):
            self._renew(held[start : start + _LARGEST_PLAN])

    def _renew_in_turn(self) -> None:
        while not self._stopped.wait(self._interval_s):
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
            self.renew_now()

    def _renew(self, claims: list[EffectClaim]) -> None:
        try:
            result = self._database.run(ops.renew(claims, self._ttl_ms))
        except StoreError as error:
            self._error = error
            if isinstance(error, StoreClosed):
                self._stopped.set()
            return
        self._error = None
        for claim in ops.lost(claims, result):
            with self._lock:
                on_lost = self._held.pop(claim, None)
            if on_lost is not None:
                on_lost()
