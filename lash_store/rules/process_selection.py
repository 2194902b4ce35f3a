"""What a selector finds in a payload (process specification 4.4). Payloads and selectors are in stored form."""

from collections.abc import Mapping
from typing import Any, Final

from lash_store.errors import InvalidJsonValue, SelectorMismatch
from lash_store.records import json_text
from lash_store.records.layout import Unfit, stored_form
from lash_store.records.process_selector import PAYLOAD

_NOTHING: Final = object()


def select(selector: Any, payload: Any) -> Any:
    """The value that `selector` finds. Raises SelectorMismatch for a pointer that finds nothing."""
    if selector == PAYLOAD:
        return payload
    ((kind, content),) = selector.items()
    if kind == "pointer":
        found = _pointed(payload, content)
        if found is _NOTHING:
            raise SelectorMismatch(content)
        return found
    if kind == "present":
        return _pointed(payload, content) is not _NOTHING
    if kind == "const":
        return content
    return _filled(content["template"], content.get("fields", {}), payload)


def value_at(payload: Any, pointer: str, otherwise: Any) -> Any:
    """The value at a JSON pointer, or `otherwise` if there is none."""
    found = _pointed(payload, pointer)
    return otherwise if found is _NOTHING else found


def text_of(value: Any) -> str:
    """A text as it is, and of everything else its JSON text. Raises InvalidJsonValue if it has none."""
    if isinstance(value, str):
        return value
    try:
        return json_text.compact(stored_form(value)).decode()
    except Unfit as unfit:
        raise InvalidJsonValue(unfit.path, unfit.reason) from None


def is_truthy(value: Any) -> bool:
    """Whether a value counts as yes: every number does, 0 too."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return True
    return value is not None and len(value) > 0


def _pointed(payload: Any, pointer: str) -> Any:
    """RFC 6901."""
    if pointer == "":
        return payload
    if not pointer.startswith("/"):
        return _NOTHING
    found = payload
    for step in pointer[1:].split("/"):
        found = _step(found, step.replace("~1", "/").replace("~0", "~"))
        if found is _NOTHING:
            break
    return found


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step, _NOTHING)
    if isinstance(value, list | tuple) and _is_index(step):
        # Longer than any list could be long: not worth the conversion, which is slow for many digits.
        index = int(step) if len(step) < 20 else len(value)
        return value[index] if index < len(value) else _NOTHING
    return _NOTHING


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and (step == "0" or step[0] != "0")


def _filled(template: str, fields: Mapping[str, Any], payload: Any) -> str:
    """One field after the other, in order of their names; text that one has put in is text to the next (4.4)."""
    text = template
    for name in sorted(fields):
        text = text.replace("{" + name + "}", text_of(select(fields[name], payload)))
    return text
