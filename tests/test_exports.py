"""`lash_store.__all__` is sorted, complete, documented, and all there is."""

import ast
import inspect
import itertools
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

import lash_store
from lash_store import errors

PACKAGE = Path(lash_store.__file__).parent


def exported() -> dict[str, object]:
    return {name: getattr(lash_store, name) for name in lash_store.__all__}


def own_members(cls: type) -> Iterator[tuple[str, types.FunctionType | property]]:
    """Yield the public methods and properties that `cls` has of its own, or of bases that only it is made of."""
    for part in (cls, *inner_bases(cls)):
        for name, member in vars(part).items():
            plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            if not name.startswith("_") and isinstance(plain, types.FunctionType | property):
                yield name, plain


def inner_bases(cls: type) -> list[type]:
    """Return the bases of this package that are not exported: to users they are parts of `cls`."""
    inside = [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] == "lash_store"]
    return [base for base in inside if base.__name__ not in lash_store.__all__]


def named_types(annotation: object) -> Iterator[type]:
    """Yield the classes an annotation names, however deep."""
    if isinstance(annotation, type):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from named_types(argument)
    if isinstance(annotation, list | tuple):
        for part in annotation:
            yield from named_types(part)


def signature_types(value: object) -> Iterator[type]:
    """Yield the classes that the signatures of an exported class or function name."""
    members: list[object] = [value] if isinstance(value, types.FunctionType) else []
    if isinstance(value, type):
        members += [member.fget if isinstance(member, property) else member for _, member in own_members(value)]
    for member in members:
        for annotation in typing.get_type_hints(member, localns={"apsw": apsw}).values():
            yield from named_types(annotation)


def documented_names() -> set[str]:
    """Return the module-level names of the package that a string right after them documents."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        body = ast.parse(path.read_text("utf-8")).body
        for statement, following in itertools.pairwise(body):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if is_text and isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def test_all_is_sorted_and_names_nothing_twice() -> None:
    assert lash_store.__all__ == sorted(set(lash_store.__all__))


def test_all_is_everything_public_in_the_namespace() -> None:
    modules = {
        name
        for name, value in vars(lash_store).items()
        if isinstance(value, types.ModuleType) and value.__name__ == f"lash_store.{name}"
    }
    public = {name for name in vars(lash_store) if not name.startswith("_")}
    assert public - modules == set(lash_store.__all__)


def test_every_error_is_exported() -> None:
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert tree
    assert tree - set(lash_store.__all__) == set()


@pytest.mark.parametrize("name", lash_store.__all__)
def test_every_type_that_a_signature_names_is_exported(name: str) -> None:
    ours = {cls for cls in signature_types(exported()[name]) if cls.__module__.partition(".")[0] == "lash_store"}
    assert {cls.__qualname__ for cls in ours} - set(lash_store.__all__) == set()


@pytest.mark.parametrize("name", lash_store.__all__)
def test_every_name_is_documented(name: str) -> None:
    value = exported()[name]
    if isinstance(value, type | types.FunctionType):
        assert vars(value).get("__doc__") if isinstance(value, type) else value.__doc__
    else:
        assert name in documented_names()


@pytest.mark.parametrize("name", lash_store.__all__)
def test_every_method_is_documented(name: str) -> None:
    value = exported()[name]
    members = list(own_members(value)) if isinstance(value, type) else []
    assert [member for member, function in members if not inspect.getdoc(function)] == []
