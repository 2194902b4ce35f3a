"""Selectors and dedupe keys of event types: which part of a payload means what (process specification 2.4).

To callers they are plain JSON: `"payload"`, `{"pointer": "/x"}`, `{"const": 1}`, `{"present": "/x"}` or
`{"template": {"template": "{x}", "fields": {"x": {"pointer": "/x"}}}}`.
"""

from collections.abc import Mapping
from typing import Any, Final

from lash_store.records.layout import Plain, Unfit, stored_form
from lash_store.records.process_shaped import only_entry
from lash_store.records.scalars import Codec, named
from lash_store.records.shape import codec_of

PAYLOAD: Final = "payload"
EVENT_IDENTITY: Final = "event_identity"

_TEXT: Final = codec_of(str)


def _read_selector(value: Any) -> Any:
    _write_selector(value, False)
    return value


def _write_selector(value: Any, hashed: bool) -> Any:
    if value == PAYLOAD and isinstance(value, str):
        return PAYLOAD
    kind, content = only_entry(value)
    if kind not in _CONTENTS:
        raise Unfit(f"expected {PAYLOAD} or an object with one of {', '.join(_CONTENTS)}, got {kind!r}")
    try:
        return {kind: _CONTENTS[kind](content, hashed)}
    except Unfit as unfit:
        raise unfit.at(kind) from None


def _write_text(value: Any, hashed: bool) -> Any:
    return _TEXT.write(value, hashed)


def _write_const(value: Any, hashed: bool) -> Any:
    return stored_form(value, Plain.SORTED, hashed=hashed)


def _write_template(value: Any, hashed: bool) -> Any:
    if not isinstance(value, Mapping):
        raise Unfit(f"expected an object, got {named(value)}")
    if "template" not in value:
        raise Unfit("the key is missing").at("template")
    fields = value.get("fields", {})
    if not isinstance(fields, Mapping) or not all(isinstance(name, str) for name in fields):
        raise Unfit(f"expected an object, got {named(fields)}").at("fields")
    written: dict[str, Any] = {}
    for name in sorted(fields):
        try:
            written[_write_text(name, hashed)] = _write_selector(fields[name], hashed)
        except Unfit as unfit:
            raise unfit.at(name).at("fields") from None
    plain = {"template": _write_text(value["template"], hashed), "fields": written}
    return plain if hashed else plain | {key: item for key, item in value.items() if key not in plain}


_CONTENTS: Final = {
    "pointer": _write_text,
    "const": _write_const,
    "template": _write_template,
    "present": _write_text,
}


def _read_dedupe_key(value: Any) -> Any:
    _write_dedupe_key(value, False)
    return value


def _write_dedupe_key(value: Any, hashed: bool) -> Any:
    if value == EVENT_IDENTITY and isinstance(value, str):
        return EVENT_IDENTITY
    kind, content = only_entry(value)
    try:
        if kind == "selector":
            return {kind: _write_selector(content, hashed)}
        if kind == "const":
            return {kind: _write_text(content, hashed)}
    except Unfit as unfit:
        raise unfit.at(kind) from None
    raise Unfit(f"expected {EVENT_IDENTITY} or an object with one of selector, const, got {kind!r}")


SELECTOR: Final = Codec(_read_selector, _write_selector)
DEDUPE_KEY: Final = Codec(_read_dedupe_key, _write_dedupe_key)
