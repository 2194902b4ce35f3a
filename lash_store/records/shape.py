"""How a record class is read from plain JSON values and written back: compiled once from its annotations.

What the tables of specification section 3 say about a key is said here by its annotation and default:

| table | field |
|---|---|
| required | no default |
| optional: absent and null are the same, omitted if none | `T | None = None` |
| optional, but written as null | `Annotated[T | None, ALWAYS] = None` |
| absent = some value (null is an error), always written | `T = value` |
| the same, omitted if empty (or false) | `Annotated[T, OMIT_EMPTY] = ...` |
| uint, 0 ... 255, uint >= 1 and so on | `Uint`, `U8`, `PositiveUint`, ... |
| any JSON, opaque | `Opaque`, or `Annotated[Any, layout]` |
| tagged by key k | `tag_field="k", tag="..."` of the class; the family is the union |
| written sorted, each once; written without white space around it | `Annotated[T, AS_SET]`, `Annotated[T, TRIMMED]` |
| closed | `forbid_unknown_fields=True` of the class |
| string variant, or object with the variant's name as its one key | `VARIANT = "..."` of the class |

Readers and writers raise `Unfit`; `Record` turns it into the public error.
"""

import enum
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple, Union

import msgspec

from lash_store.records.encoder import Form
from lash_store.records.json_text import RepeatedKeys
from lash_store.records.layout import INT_MAX, INT_MIN, UINT_MAX, Fields, MapOf, Plain, Unfit, text_form
from lash_store.records.scalars import SCALARS, Codec, Range, enumeration, free, integer, named
from lash_store.records.text import trimmed


class Omit(NamedTuple):
    """When a key is left out on write: if `test(value, hashed)` is true. `form` says so to the C encoder, if it can."""

    test: Callable[[Any, bool], bool]
    form: str = ""


ALWAYS: Final = Omit(lambda value, hashed: False, "never")
OMIT_EMPTY: Final = Omit(lambda value, hashed: not value, "empty")
OMIT_NONE: Final = Omit(lambda value, hashed: value is None, "none")


class Rewritten(NamedTuple):
    """Written otherwise than it is: `write` makes (plain value, hashed) another. `form` says so to the C encoder."""

    write: Callable[[Any, bool], Any]
    form: str


TRIMMED: Final = Rewritten(lambda text, hashed: trimmed(text), "trimmed")
"""A text without white space around it."""
AS_SET: Final = Rewritten(lambda texts, hashed: sorted(set(texts)), "set")
"""Texts in order, each once."""
NULL_WHEN_HASHED: Final = Rewritten(lambda plain, hashed: None if hashed else plain, "nulled")
"""Checked always, and never part of a hash."""

Int = Annotated[int, Range(INT_MIN, INT_MAX)]
Uint = Annotated[int, Range(0, UINT_MAX), msgspec.Meta(ge=0, le=INT_MAX)]
"""A typed decoder of msgspec knows no higher limit; whoever uses one leaves the integers above to the exact reader."""
PositiveUint = Annotated[int, Range(1, UINT_MAX)]
U32 = Annotated[int, Range(0, 2**32 - 1), msgspec.Meta(ge=0, le=2**32 - 1)]
U8 = Annotated[int, Range(0, 255)]
EpochMs = Annotated[int, Range(0, INT_MAX)]
"""Milliseconds since 1970-01-01T00:00:00Z that fit an SQL integer: a larger one would come back negative."""
Opaque = Annotated[Any, Plain.SORTED]


def codec_of(annotation: Any) -> Codec:
    """The codec of one annotation. Raises TypeError for an annotation that the table above does not know."""
    if typing.get_origin(annotation) is Annotated:
        return _annotated(*typing.get_args(annotation))
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return _union(typing.get_args(annotation))
    if typing.get_origin(annotation) is list:
        return _list(codec_of(typing.get_args(annotation)[0]))
    if typing.get_origin(annotation) is dict:
        return _map(codec_of(typing.get_args(annotation)[1]))
    if annotation in SCALARS:
        return SCALARS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return enumeration(annotation)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _record(annotation)
    raise TypeError(f"no record field can be {annotation!r}")


def _annotated(inner: Any, *marks: Any) -> Codec:
    for mark in marks:
        if isinstance(mark, Range):
            return integer(mark)
        if isinstance(mark, (Plain, MapOf, Fields)):
            return free(mark)
    codec = codec_of(inner)
    for mark in marks:
        if isinstance(mark, Rewritten):
            codec = _rewritten(codec, mark)
    return codec


def _rewritten(codec: Codec, mark: Rewritten) -> Codec:
    return Codec(
        codec.read,
        lambda value, hashed: mark.write(codec.write(value, hashed), hashed),
        _around(mark.form, codec),
    )


def _around(kind: str, inner: Codec) -> Form | None:
    return None if inner.form is None else (kind, inner.form)


def omission(annotation: Any, default: Any) -> Omit:
    """When a field with this annotation and default is left out on write."""
    if typing.get_origin(annotation) is Annotated:
        for mark in typing.get_args(annotation):
            if isinstance(mark, Omit):
                return mark
    return OMIT_NONE if default is None else ALWAYS


def _list(item: Codec) -> Codec:
    def each(values: Any, convert: Callable[[Any], Any]) -> list[Any]:
        if not isinstance(values, (list, tuple)):
            raise Unfit(f"expected a list, got {named(values)}")
        done: list[Any] = []
        try:
            done.extend(map(convert, values))
        except Unfit as unfit:
            raise unfit.at(len(done)) from None
        return done

    return Codec(
        lambda values: each(values, item.read),
        lambda values, hashed: each(values, lambda v: item.write(v, hashed)),
        _around("list", item),
    )


def _map(item: Codec) -> Codec:
    """A map keyed by name: sorted on write; of equal keys the last one wins on read."""

    def each(values: Any, keys: Callable[[Any], Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise Unfit(f"expected an object, got {named(values)}")
        done: dict[str, Any] = {}
        key = ""
        try:
            for key in keys(values):
                done[text_form(key)] = convert(values[key])
        except Unfit as unfit:
            raise unfit.at(key) from None
        return done

    return Codec(
        lambda values: each(values, iter, item.read),
        lambda values, hashed: each(values, sorted, lambda v: item.write(v, hashed)),
        _map_form(item.form),
    )


def _map_form(item: Form | None) -> Form | None:
    if item is None or item[0] != "free" or not isinstance(item[1], Plain):
        return None
    return ("free", MapOf(item[1]))


def _union(members: tuple[Any, ...]) -> Codec:
    named = tuple(member for member in members if member is not type(None))
    codec = codec_of(named[0]) if len(named) == 1 else _family(named)
    if len(named) == len(members):
        return codec
    return Codec(
        lambda value: None if value is None else codec.read(value),
        lambda value, hashed: None if value is None else codec.write(value, hashed),
        _around("optional", codec),
    )


def _record(cls: type[Any]) -> Codec:
    def write(value: Any, hashed: bool) -> Any:
        if not isinstance(value, cls):
            raise Unfit(f"expected a {cls.__name__}, got {named(value)}")
        return value.write_plain(hashed)

    return Codec(cls.read_plain, write, ("record", ((cls, ""),)))


def _family(members: tuple[Any, ...]) -> Codec:
    by_tag = {tag_of(member): member for member in members}
    tag_key = members[0].__struct_config__.tag_field

    def read(value: Any) -> Any:
        tag = _variant(value) if tag_key is None else _tag(value, tag_key)
        if tag not in by_tag:
            raise Unfit(f"expected one of {', '.join(by_tag)}, got {tag!r}")
        return by_tag[tag].read_plain(value)

    def write(value: Any, hashed: bool) -> Any:
        if not isinstance(value, members):
            raise Unfit(f"expected a {' or '.join(member.__name__ for member in members)}, got {named(value)}")
        return value.write_plain(hashed)

    return Codec(read, write, ("record", tuple((member, "") for member in members)))


def tag_of(cls: type[Any]) -> str:
    """The text that tells this class from the others of its family."""
    tag = cls.__struct_config__.tag
    return str(cls.VARIANT if tag is None else tag)


def _tag(value: Any, tag_key: str) -> str:
    if not isinstance(value, Mapping):
        raise Unfit(f"expected an object, got {named(value)}")
    tag = value.get(tag_key)
    if not isinstance(tag, str):
        raise Unfit("expected a string").at(tag_key)
    return tag


def _variant(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1 and not isinstance(value, RepeatedKeys):
        return str(next(iter(value)))
    raise Unfit("expected the name of a variant, or an object with exactly one")


class Field(NamedTuple):
    """One key of a record: its codec, whether it must be there, and when it is left out."""

    key: str
    codec: Codec
    required: bool
    omit: Omit


def fields_of(cls: type[Any], but: frozenset[str]) -> tuple[Field, ...]:
    """The fields of a record class in declared order, without those named in `but`."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        Field(field.name, codec_of(hints[field.name]), field.required, omission(hints[field.name], field.default))
        for field in msgspec.structs.fields(cls)
        if field.name not in but
    )
