"""lash_store: the durable SQLite session store of the lash agent runtime.

Everything public is named here; what the names mean is said where they are defined.
"""

from lash_store.clock import SYSTEM_CLOCK, Clock, SystemClock
from lash_store.errors import (
    ConstraintViolation,
    GuardFailed,
    InvalidJsonValue,
    InvalidPlan,
    InvalidRecord,
    NotADatabase,
    ProviderInPolicy,
    StoreBackend,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreForked,
    StoreFull,
    StoreMisuse,
    StoreOpenFailed,
    StoreReadOnly,
    StoreReentered,
    StoreWrongLoop,
    WalUnavailable,
)
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.connection import BUSY_TIMEOUT_MS
from lash_store.sqlite.database import Database, DatabaseStats
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step
from lash_store.sqlite.transaction import Commit, Rollback, Transaction

__all__ = [
    "BUSY_TIMEOUT_MS",
    "Clock",
    "Commit",
    "ConstraintViolation",
    "Database",
    "DatabaseStats",
    "Expect",
    "GuardFailed",
    "InvalidJsonValue",
    "InvalidPlan",
    "InvalidRecord",
    "NotADatabase",
    "Otherwise",
    "Plan",
    "PlanResult",
    "ProviderInPolicy",
    "Rollback",
    "SYSTEM_CLOCK",
    "SqliteConnection",
    "Step",
    "StoreBackend",
    "StoreBusy",
    "StoreClosed",
    "StoreCorrupt",
    "StoreError",
    "StoreForked",
    "StoreFull",
    "StoreMisuse",
    "StoreOpenFailed",
    "StoreReadOnly",
    "StoreReentered",
    "StoreWrongLoop",
    "SystemClock",
    "Transaction",
    "WalUnavailable",
]
