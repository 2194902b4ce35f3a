"""Whether a payload fits its declared schema: the subset of JSON schema of process specification 4.5."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeGuard

_ROOT: Final = "arguments"
_EXEMPT: Final = "__session_id__"
"""The key that a runtime adds on its own; no schema has to allow it."""


class Misfit(NamedTuple):
    """Where a value does not fit, for example `a.b[0]`, and why."""

    location: str
    reason: str


def misfit(schema: Any, value: Any) -> Misfit | None:
    """The first place in `value` that does not fit `schema`; None if it fits. Everything fits what is no object."""
    found = next(_misfits(schema, value, ""), None)
    return None if found is None else Misfit(found.location or _ROOT, found.reason)


def _misfits(schema: Any, value: Any, path: str) -> Iterator[Misfit]:
    if not isinstance(schema, Mapping):
        return
    branches = schema.get("anyOf") if "anyOf" in schema else schema.get("oneOf")
    if isinstance(branches, list):
        if not any(next(_misfits(branch, value, path), None) is None for branch in branches):
            yield Misfit(path, "fits none of the alternatives")
        return
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(_equal(value, entry) for entry in allowed):
        yield Misfit(path, "is not one of the enumerated values")
    if not _has_type(schema.get("type"), value):
        yield Misfit(path, f"expected the type {schema['type']!r}")
    yield from _limits(schema, value, path)
    if isinstance(value, list):
        yield from _in_array(schema, value, path)
    elif isinstance(value, Mapping):
        yield from _in_object(schema, value, path)


def _limits(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Misfit]:
    if _is_number(value):
        maximum, minimum = schema.get("maximum"), schema.get("minimum")
        if _is_number(maximum) and float(value) > float(maximum):
            yield Misfit(path, f"expected at most {maximum}")
        if _is_number(minimum) and float(value) < float(minimum):
            yield Misfit(path, f"expected at least {minimum}")
    elif isinstance(value, str):
        yield from _sizes(schema, "Length", len(value), path)


def _sizes(schema: Mapping[str, Any], what: str, size: int, path: str) -> Iterator[Misfit]:
    maximum, minimum = schema.get(f"max{what}"), schema.get(f"min{what}")
    if _is_count(maximum) and size > maximum:
        yield Misfit(path, f"{what.lower()}: expected at most {maximum}")
    if _is_count(minimum) and size < minimum:
        yield Misfit(path, f"{what.lower()}: expected at least {minimum}")


def _in_array(schema: Mapping[str, Any], value: list[Any], path: str) -> Iterator[Misfit]:
    yield from _sizes(schema, "Items", len(value), path)
    for index, item in enumerate(value):
        yield from _misfits(schema.get("items"), item, f"{path}[{index}]")


def _in_object(schema: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[Misfit]:
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in value:
            yield Misfit(_below(path, name), "the property is missing")
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return
    for name in sorted(properties.keys() & value.keys()):
        yield from _misfits(properties[name], value[name], _below(path, name))
    others = schema.get("additionalProperties")
    if others is True:
        return
    for name in sorted(value.keys() - properties.keys() - {_EXEMPT}):
        if isinstance(others, Mapping):
            yield from _misfits(others, value[name], _below(path, name))
        else:
            yield Misfit(_below(path, name), "the property is not declared")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_TYPES: Final = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: _is_number(value),  # noqa: PLW0108  defined below
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
}


def _has_type(wanted: Any, value: Any) -> bool:
    """Names that are not known, and other things than names, ask for nothing."""
    if isinstance(wanted, str):
        return wanted not in _TYPES or _TYPES[wanted](value)
    if isinstance(wanted, list):
        return any(isinstance(name, str) and _has_type(name, value) for name in wanted)
    return True


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values, where 1, 1.0 and true are three values."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return _kind(one) is _kind(other) and bool(one == other)


def _kind(value: Any) -> type:
    return float if isinstance(value, float) else type(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
