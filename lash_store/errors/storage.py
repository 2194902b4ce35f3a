"""What can go wrong with a file, its handle, and the statements that run on it."""

from typing import Any, ClassVar, Final

from lash_store.errors.root import StoreError

_SHOWN: Final = 80


class StoreOpenFailed(StoreError):
    """The database at `path` cannot be opened, for the `reason` given; what stands there was left as it is."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot open the database {path!r}: {reason}")
        self.path = path
        self.reason = reason


class NotADatabase(StoreOpenFailed):
    """The file at `path` is not an SQLite database; it was left as it is."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "the file is not an SQLite database; name another file or move this one away")


class WalUnavailable(StoreOpenFailed):
    """The file at `path` stays in journal mode `mode`: its file system has no shared memory, or it is in memory."""

    def __init__(self, path: str, mode: str) -> None:
        super().__init__(
            path,
            f"write-ahead logging is not to be had (journal mode stays {mode!r}); "
            "keep the database on a local file system that supports shared memory",
        )
        self.mode = mode


class StoreClosed(StoreError):
    """The handle on `path` was closed before the call, or while the call was still queued."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the handle on {path!r} is closed; open a new one")
        self.path = path


class StoreMisuse(StoreError):
    """The handle is used where it must not be; `reason` says how and what to do instead."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreForked(StoreMisuse):
    """The parent of this process had the database at `path` open when it forked.

    Neither its handle nor a new one can be used here: SQLite believes that this process holds locks which a fork does
    not pass on, and would work without any.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path!r} was open in the parent process when this one was forked, and cannot be locked here; "
            "start the process by spawn, or open the database after the fork only"
        )
        self.path = path


class StoreWrongLoop(StoreMisuse):
    """The asynchronous handle on `path` is bound to another event loop."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the handle on {path!r} is bound to another event loop; open one handle for each loop")
        self.path = path


class StoreReentered(StoreMisuse):
    """A closure that holds the writer of `path` asked for the same writer again, which would wait for ever."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"the writer of {path!r} is already held by this closure; use the connection or transaction it was given"
        )
        self.path = path


class StoreBusy(StoreError):
    """Another connection held the write lock for the whole busy budget; `waited_ms` is the time spent waiting."""

    retryable: ClassVar[bool] = True

    def __init__(self, waited_ms: int) -> None:
        super().__init__(
            f"the database was locked by another writer for {waited_ms} ms; nothing was written, try the call again"
        )
        self.waited_ms = waited_ms


class StoreReadOnly(StoreError):
    """A write was asked of a handle, a file or a folder that can only be read."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} can only be read; open it writable, or check the permissions of file and folder")
        self.path = path


class StoreFull(StoreError):
    """The device that holds `path` has no room left; nothing of the call was written."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no room left to write {path!r}; free some space and try the call again")
        self.path = path


class StoreCorrupt(StoreError):
    """What is stored under `key` cannot be read as a `kind`, for example kind "database", key the file's path."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"the stored {kind} {key!r} is damaged; restore it from a backup")
        self.kind = kind
        self.key = key


class StoreBackend(StoreError):
    """SQLite refused: its primary `code`, `extended_code` and `message`, and the plan's `step`, if it was one."""

    def __init__(self, code: int, extended_code: int, message: str, step: int | None = None) -> None:
        where = "" if step is None else f" in step {step} of the plan"
        super().__init__(f"SQLite refused{where}: {message} (code {code}, extended {extended_code})")
        self.code = code
        self.extended_code = extended_code
        self.message = message
        self.step = step


class ConstraintViolation(StoreBackend):
    """A constraint of the schema does not hold; `extended_code` says which kind (SQLITE_CONSTRAINT_UNIQUE, ...)."""


class InvalidPlan(StoreError):
    """Step number `step` (None: the whole plan) cannot be run as written; nothing was changed."""

    def __init__(self, step: int | None, reason: str) -> None:
        where = "the plan" if step is None else f"step {step} of the plan"
        super().__init__(f"{where} cannot be run: {reason}")
        self.step = step
        self.reason = reason


class GuardFailed(StoreError):
    """A plan was rolled back because its step `step` did not find what it had to.

    `expected` is the step's expectation, `row` the row it saw instead (None if it saw none), `changes` the number of
    rows it changed before the plan was rolled back.
    """

    def __init__(self, step: int, name: str, expected: str, row: tuple[Any, ...] | None, changes: int) -> None:
        label = f"{step} ({name})" if name else f"{step}"
        saw = f"{changes} changes" if row is None else f"the row {_shortened(row)}"
        super().__init__(f"guard {label} of the plan expected {expected} and saw {saw}; the plan was rolled back")
        self.step = step
        self.name = name
        self.expected = expected
        self.row = row
        self.changes = changes


def _shortened(row: tuple[Any, ...]) -> str:
    """A row as a message shows it: of a long value only the beginning, since a column may hold megabytes."""
    shown = (repr(value[:_SHOWN]) + "..." if _is_long(value) else repr(value) for value in row)
    return f"({', '.join(shown)})"


def _is_long(value: Any) -> bool:
    return isinstance(value, (str, bytes)) and len(value) > _SHOWN


class StoreInUse(StoreError):
    """The database at `path` is open somewhere, here or in another process, and was not removed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} is in use and was not removed; close every handle on it, in other processes too")
        self.path = path


class StoreRemovalFailed(StoreError):
    """The file at `path` could not be removed, for the `reason` given; what was removed before it is gone."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot remove {path!r}: {reason}")
        self.path = path
        self.reason = reason
