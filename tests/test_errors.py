"""The tree of errors is the one that is documented, and every error says what, to which thing, and can be sent on."""

import copy
import pickle
import re

import pytest

from lash_store import errors
from lash_store.errors import StoreError

PARENTS = {
    "StoreOpenFailed": "StoreError",
    "NotADatabase": "StoreOpenFailed",
    "WalUnavailable": "StoreOpenFailed",
    "StoreClosed": "StoreError",
    "StoreMisuse": "StoreError",
    "StoreForked": "StoreMisuse",
    "StoreWrongLoop": "StoreMisuse",
    "StoreReentered": "StoreMisuse",
    "StoreBusy": "StoreError",
    "StoreReadOnly": "StoreError",
    "StoreFull": "StoreError",
    "StoreCorrupt": "StoreError",
    "StoreBackend": "StoreError",
    "ConstraintViolation": "StoreBackend",
    "InvalidPlan": "StoreError",
    "GuardFailed": "StoreError",
    "InvalidJsonValue": "StoreError",
    "InvalidRecord": "StoreError",
    "ProviderInPolicy": "InvalidRecord",
}

# An instance of each, the fields it must have, and what its message must name.
PATH = "/data/a b.db"
EXAMPLES: list[tuple[StoreError, dict[str, object], list[str]]] = [
    (StoreError("anything"), {}, ["anything"]),
    (errors.StoreOpenFailed(PATH, "no folder"), {"path": PATH, "reason": "no folder"}, [PATH, "no folder"]),
    (errors.NotADatabase(PATH), {"path": PATH}, [PATH, "not an SQLite database"]),
    (errors.WalUnavailable(PATH, "memory"), {"path": PATH, "mode": "memory"}, [PATH, "memory", "write-ahead"]),
    (errors.StoreClosed(PATH), {"path": PATH}, [PATH, "closed"]),
    (errors.StoreMisuse("not here"), {"reason": "not here"}, ["not here"]),
    (errors.StoreForked(PATH), {"path": PATH}, [PATH, "parent process"]),
    (errors.StoreWrongLoop(PATH), {"path": PATH}, [PATH, "event loop"]),
    (errors.StoreReentered(PATH), {"path": PATH}, [PATH, "already held"]),
    (errors.StoreBusy(250), {"waited_ms": 250}, ["250 ms", "nothing was written"]),
    (errors.StoreReadOnly(PATH), {"path": PATH}, [PATH, "only be read"]),
    (errors.StoreFull(PATH), {"path": PATH}, [PATH, "no room"]),
    (errors.StoreCorrupt("database", PATH), {"kind": "database", "key": PATH}, ["database", PATH, "damaged"]),
    (
        errors.StoreBackend(1, 257, "no such table: t", 3),
        {"code": 1, "extended_code": 257, "message": "no such table: t", "step": 3},
        ["no such table: t", "step 3", "257"],
    ),
    (errors.StoreBackend(10, 266, "disk I/O error"), {"step": None, "code": 10}, ["disk I/O error", "266"]),
    (
        errors.ConstraintViolation(19, 2067, "UNIQUE constraint failed: t.a", 0),
        {"code": 19, "extended_code": 2067, "message": "UNIQUE constraint failed: t.a", "step": 0},
        ["UNIQUE constraint failed: t.a", "step 0", "2067"],
    ),
    (errors.InvalidPlan(4, "two statements"), {"step": 4, "reason": "two statements"}, ["step 4", "two statements"]),
    (errors.InvalidPlan(None, "it has no steps"), {"step": None}, ["the plan", "it has no steps"]),
    (
        errors.GuardFailed(2, "revision", "no row", (7, b"x"), 0),
        {"step": 2, "name": "revision", "expected": "no row", "row": (7, b"x"), "changes": 0},
        ["2", "revision", "no row", "(7, b'x')", "rolled back"],
    ),
    (errors.InvalidJsonValue("$.a", "a NaN"), {"path": "$.a", "reason": "a NaN"}, ["$.a", "a NaN"]),
    (
        errors.InvalidRecord("SessionHead", "$.b", "no int"),
        {"kind": "SessionHead", "path": "$.b", "reason": "no int"},
        ["SessionHead", "$.b", "no int"],
    ),
    (errors.ProviderInPolicy(), {"kind": "SessionPolicy", "path": "$.provider"}, ["provider_id"]),
    (
        errors.GuardFailed(0, "", "3 changes", None, 1),
        {"step": 0, "name": "", "expected": "3 changes", "row": None, "changes": 1},
        ["0", "3 changes", "1 changes", "rolled back"],
    ),
]
every_example = pytest.mark.parametrize(
    ("error", "fields", "named"), [pytest.param(*example, id=repr(example[0])[:60]) for example in EXAMPLES]
)


def tree(root: type[StoreError]) -> dict[str, str]:
    """Return every class below `root` that this package defines, with its parent's name."""
    found: dict[str, str] = {}
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= {child.__name__: root.__name__} | tree(child)
    return found


def test_the_tree_is_the_documented_one() -> None:
    assert tree(StoreError) == PARENTS
    assert StoreError.__bases__ == (Exception,)


def drawn() -> dict[str, str]:
    """Return the tree that the module's docstring draws."""
    assert errors.__doc__ is not None
    above, parents = ["StoreError"], {}
    for indent, name in re.findall(r"^    ((?:│   |    )*)[├└]── (\w+)[ (]", errors.__doc__, re.MULTILINE):
        del above[len(indent) // 4 + 1 :]
        parents[name] = above[-1]
        above.append(name)
    return parents


def test_the_docstring_draws_the_tree() -> None:
    assert drawn() == tree(StoreError)


def test_an_example_of_every_class() -> None:
    assert {type(error).__name__ for error, _, _ in EXAMPLES} == {"StoreError", *PARENTS}


@every_example
def test_fields_are_attributes(error: StoreError, fields: dict[str, object], named: list[str]) -> None:
    assert {name: getattr(error, name) for name in fields} == fields


@every_example
def test_the_message_names_the_thing(error: StoreError, fields: dict[str, object], named: list[str]) -> None:
    assert [part for part in named if part not in str(error)] == []


@every_example
def test_pickling_keeps_class_message_and_fields(
    error: StoreError, fields: dict[str, object], named: list[str]
) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        same = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  our own bytes
        assert type(same) is type(error)
        assert str(same) == str(error)
        assert vars(same) == vars(error)


@every_example
def test_copying_keeps_class_message_and_fields(error: StoreError, fields: dict[str, object], named: list[str]) -> None:
    for same in (copy.copy(error), copy.deepcopy(error)):
        assert (type(same), str(same), vars(same)) == (type(error), str(error), vars(error))


@every_example
def test_only_busy_is_retryable(error: StoreError, fields: dict[str, object], named: list[str]) -> None:
    assert error.retryable is isinstance(error, errors.StoreBusy)
    assert type(error).retryable is error.retryable


def test_notes_survive_pickling() -> None:
    error = errors.StoreFull(PATH)
    error.add_note("while the turn was committed")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while the turn was committed"]  # noqa: S301  our own bytes
