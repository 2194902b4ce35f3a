"""The tree of errors is the one that is documented, and every error says what, to which thing, and can be sent on."""

import copy
import pickle
import re

import pytest

from lash_store import errors
from lash_store.errors import StoreError
from tests.error_examples import EXAMPLES, PATH

every_example = pytest.mark.parametrize(
    ("error", "fields", "named"),
    [pytest.param(*example, id=f"{type(example[0]).__name__}-{number}") for number, example in enumerate(EXAMPLES)],
)


def tree(root: type[StoreError]) -> dict[str, str]:
    """Return every class below `root` that this package defines, with the name of its first base."""
    found: dict[str, str] = {}
    for child in root.__subclasses__():
        if child.__module__.startswith(f"{errors.__name__}."):
            found |= {child.__name__: child.__bases__[0].__name__} | tree(child)
    return found


def test_the_root_is_an_exception() -> None:
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
    assert {type(error).__name__ for error, _, _ in EXAMPLES} == {"StoreError", *tree(StoreError)}


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
