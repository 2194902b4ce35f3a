"""Payloads of host events: whether one fits a type, and what becomes of values that go to a process (4.7)."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lash_store.records.host_event_trigger import TriggerInputBinding, TriggerInputBindingFixed

_SIMPLE: Final[Mapping[str, Any]] = {
    "Any": lambda value: True,
    "Str": lambda value: isinstance(value, str),
    "Int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "Bool": lambda value: isinstance(value, bool),
    "Dict": lambda value: isinstance(value, Mapping),
    "Null": lambda value: value is None,
}
_LISTS: Final = (list, tuple)
_INTEGERS: Final = (-(2.0**63), 2.0**64)
_SATURATED: Final = {2.0**63: 2**63 - 1, 2.0**64: 2**64 - 1}
_IMAGE: Final = ("type", "id", "label", "size", "width", "height")
_RESOURCE: Final = ("__resource__", "type", "alias")


def fits(ty: Any, value: Any) -> bool:
    """Whether a payload is of a type (a type expression). What is none, or is not known, has no values."""
    return misfit(ty, value) is None


def misfit(ty: Any, value: Any, path: str = "$") -> str | None:
    """Where in a payload the first value lies that is not of its type, for example `$.button`; None if it fits."""
    if isinstance(ty, str):
        return None if ty in _SIMPLE and _SIMPLE[ty](value) else path
    if not isinstance(ty, Mapping) or len(ty) != 1:
        return path
    ((form, inner),) = ty.items()
    if form == "List" and isinstance(value, _LISTS):
        return _first(misfit(inner, item, f"{path}[{index}]") for index, item in enumerate(value))
    if form == "Object" and isinstance(value, Mapping) and isinstance(inner, _LISTS):
        return _first(_field_misfit(each, value, path) for each in inner)
    if form == "Union":
        return None if isinstance(inner, _LISTS) and any(fits(member, value) for member in inner) else path
    if form == "Enum":
        return None if isinstance(value, str) and isinstance(inner, _LISTS) and value in inner else path
    return None if form in ("Process", "TriggerHandle") and isinstance(value, Mapping) else path


def is_type(ty: Any) -> bool:
    """Whether a JSON value is a type expression (specification 2.6)."""
    if isinstance(ty, str):
        return ty in _SIMPLE
    if not isinstance(ty, Mapping) or len(ty) != 1:
        return False
    ((form, inner),) = ty.items()
    if form in ("List", "TriggerHandle"):
        return is_type(inner)
    if form == "Ref":
        return isinstance(inner, str)
    if form == "Process":
        return isinstance(inner, Mapping) and is_type(inner.get("input")) and is_type(inner.get("output"))
    parts = {"Enum": lambda text: isinstance(text, str), "Object": _is_field, "Union": is_type}
    return form in parts and isinstance(inner, _LISTS) and all(map(parts[form], inner))


def process_args(template: Mapping[str, TriggerInputBinding], payload: Any) -> dict[str, Any]:
    """The inputs of a triggered process, as upstream's language hands them on."""
    return {
        name: argument(binding.value if isinstance(binding, TriggerInputBindingFixed) else payload)
        for name, binding in template.items()
    }


def argument(value: Any) -> Any:
    """A value after a passage through upstream's language, where every number is a double; processes are hashed so."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(float(value))
    if isinstance(value, list | tuple):
        return [argument(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if _is_image(value):
        return {key: value[key] for key in _IMAGE}
    if value.get("__resource__") is True and _are_texts(value, "type", "alias"):
        return {key: value[key] for key in _RESOURCE}
    return {key: argument(item) for key, item in value.items()}


def _is_field(field: Any) -> bool:
    return isinstance(field, Mapping) and isinstance(field.get("name"), str) and is_type(field.get("ty"))


def _first(paths: Iterable[str | None]) -> str | None:
    return next((path for path in paths if path is not None), None)


def _field_misfit(field: Any, value: Mapping[str, Any], path: str) -> str | None:
    if not _is_field(field):
        return path
    name = field["name"]
    if name not in value:
        return None if field.get("optional") else f"{path}.{name}"
    return misfit(field["ty"], value[name], f"{path}.{name}")


def _number(value: float) -> int | float:
    low, high = _INTEGERS
    if not math.isfinite(value) or not value.is_integer() or not low <= value <= high:
        return value
    return _SATURATED.get(value, int(value))


def _is_image(value: Mapping[str, Any]) -> bool:
    return (
        value.get("type") == "image"
        and _are_texts(value, "id", "label")
        and _is_size(value.get("size"), 2**64 - 1)
        and all(key in value for key in ("width", "height"))
        and all(value[key] is None or _is_size(value[key], 2**32 - 1) for key in ("width", "height"))
    )


def _are_texts(value: Mapping[str, Any], *keys: str) -> bool:
    return all(isinstance(value.get(key), str) for key in keys)


def _is_size(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
