"""`Record`: the base of everything that has a stored form."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NoReturn, Self

import msgspec

from lash_store.errors import InvalidJsonValue, InvalidRecord
from lash_store.records import encoder, json_text
from lash_store.records.layout import Plain, Unfit, stored_form
from lash_store.records.scalars import Codec
from lash_store.records.shape import ALWAYS, OMIT_NONE, Field, codec_of, fields_of

_OTHER_KEYS: Final = frozenset({"other_keys"})


# Without gc: what a record holds has a JSON form, which nothing has that leads back to itself; a load of a long history
# would otherwise spend a fifth of its time in the collector. `omit_defaults` is for node_text, where msgspec writes.
class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A frozen record. Its fields are the keys of its stored form; constructing one checks nothing, writing all.

    `msgspec.structs.replace(record, field=value)` makes a changed copy.

    `other_keys` holds the keys of an open record that this version does not know, as they were read. They are written
    back behind the known ones and never enter a hash. A closed record has none; a known key is never among them.
    """

    VARIANT: ClassVar[str] = ""
    """In a family without a tag key: the variant's name, which is the whole text or the one key around the record."""
    LAST_KEY_WINS: ClassVar[bool] = False
    """Whether a known key given twice is accepted, as upstream does inside policies and protocol events."""

    other_keys: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any]) -> Self:
        """The record of a JSON text, or of the mapping that such a text stands for.

        Raises InvalidRecord if the text is not JSON, or if a key is missing, repeated, of the wrong type or range, or,
        in a closed record, unknown.
        """
        return read_json(cls, source)  # type: ignore[no-any-return]

    def to_json(self) -> bytes:
        """The compact JSON text, keys in declared order.

        Raises InvalidRecord if a field holds what its key cannot, InvalidJsonValue if an opaque value has no JSON form.
        """
        written = encoder.compact(self)
        if written is not None:
            return written
        try:
            text = json_text.compact(self.write_plain(False))
            json_text.require_depth(text)
        except Unfit as unfit:
            raise_public(type(self).__name__, unfit)
        return text

    @classmethod
    def read_plain(cls, value: Any) -> Self:
        """The record of a plain JSON value. For this package and its readers; raises Unfit."""
        if cls.VARIANT:
            value = _unwrapped(cls.VARIANT, value)
        if not isinstance(value, Mapping):
            raise Unfit(f"expected an object, got {type(value).__name__}")
        if isinstance(value, json_text.RepeatedKeys):
            cls._refuse_repeated(value)
        known = _fields(cls)
        found = cls.read_fields(value, known)
        config = cls.__struct_config__
        if config.tag_field is not None and value.get(config.tag_field) != config.tag:
            raise Unfit(f"expected {config.tag!r}").at(config.tag_field)
        others = len(value) - len(found) - (config.tag_field is not None)
        if others:
            found["other_keys"] = cls._unknown(value)
        return cls(**found)

    def write_plain(self, hashed: bool) -> Any:
        """The plain JSON value, keys in declared order; `hashed` as in `scalars.Write`. Raises Unfit."""
        config = self.__struct_config__
        plain: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
        self.write_fields(plain, hashed)
        if self.other_keys is not None and not hashed:
            plain.update(self._written_others())
        if not self.VARIANT:
            return plain
        return {self.VARIANT: plain} if _fields(type(self)) else self.VARIANT

    def known_keys(self) -> frozenset[str]:
        """The keys that mean something in the stored form of this record, whether they are written or not."""
        return _keys(type(self))

    @classmethod
    def read_fields(cls, value: Mapping[str, Any], fields: Any) -> dict[str, Any]:
        """The values of those keys of `fields` (each a `shape.Field`) that are present.

        Raises Unfit if a required one is not.
        """
        found: dict[str, Any] = {}
        key = ""
        try:
            for key, codec, required, _ in fields:
                if key in value:
                    found[key] = codec.read(value[key])
                elif required:
                    raise Unfit("the key is missing")
        except Unfit as unfit:
            raise unfit.at(key) from None
        return found

    def write_fields(self, plain: dict[str, Any], hashed: bool) -> None:
        """Adds this record's keys to `plain` in declared order. Raises Unfit."""
        key = ""
        try:
            for key, codec, _, omit in _fields(type(self)):
                value = getattr(self, key)
                if omit is ALWAYS or not (value is None if omit is OMIT_NONE else omit.test(value, hashed)):
                    plain[key] = codec.write(value, hashed)
        except Unfit as unfit:
            raise unfit.at(key) from None

    @classmethod
    def encoder_form(cls) -> encoder.Form | None:
        """How the C encoder writes records of this class; None if they are for Python, which is what they mean."""
        if cls.write_plain is not Record.write_plain or cls.write_fields is not Record.write_fields:
            return None
        keys = cls.encoder_keys()
        return None if keys is None else ("fields", cls.VARIANT, "", ((None, keys),))

    @classmethod
    def encoder_keys(cls) -> tuple[encoder.Form, ...] | None:
        """The keys in declared order, each with its form; None if there is one that only Python can write."""
        tag_field, tag = cls.__struct_config__.tag_field, cls.__struct_config__.tag
        keys = [] if tag_field is None else [(tag_field, False, ("constant", tag), ALWAYS.form)]
        for field in _fields(cls):
            if field.codec.form is None or not field.omit.form:
                return None
            keys.append((field.key, False, field.codec.form, field.omit.form))
        return tuple(keys)

    def _written_others(self) -> dict[str, Any]:
        """`other_keys` as they are written. Raises Unfit for what a reader of the record would not find there."""
        try:
            if not isinstance(self.other_keys, Mapping):
                raise Unfit(f"expected an object, got a {type(self.other_keys).__name__}")
            if self.other_keys and self.__struct_config__.forbid_unknown_fields:
                raise Unfit("the record is closed and has no other keys")
            known = self.known_keys()
            for key in self.other_keys:
                if key in known:
                    raise Unfit("the record knows the key; set its field").at(key)
            return stored_form(self.other_keys, Plain.AS_GIVEN)  # type: ignore[no-any-return]
        except Unfit as unfit:
            raise unfit.at("other_keys") from None

    @classmethod
    def _refuse_repeated(cls, value: json_text.RepeatedKeys) -> None:
        if not cls.LAST_KEY_WINS:
            for key in value.repeated & _keys(cls):
                raise Unfit("the key stands more than once").at(key)

    @classmethod
    def _unknown(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        known = _keys(cls)
        unknown = {key: item for key, item in value.items() if key not in known}
        if cls.__struct_config__.forbid_unknown_fields:
            raise Unfit("the record is closed and has no such key").at(next(iter(unknown)))
        return unknown


def read_json(family: Any, source: str | bytes | Mapping[str, Any]) -> Any:
    """A record of `family` (a record class, or the union of a tagged family) from its JSON text or mapping.

    Raises InvalidRecord as `Record.from_json` does.
    """
    try:
        value = source if isinstance(source, Mapping) else json_text.parse(source)
        return _codec(family).read(value)
    except Unfit as unfit:
        raise_public(getattr(family, "__name__", "record"), unfit)


def raise_public(kind: str, unfit: Unfit) -> NoReturn:
    """Raises the public error of `unfit`, met in a record of class `kind`."""
    if unfit.free:
        raise InvalidJsonValue(unfit.path, unfit.reason) from None
    raise InvalidRecord(kind, unfit.path, unfit.reason) from None


@functools.cache
def _codec(family: Any) -> Codec:
    return codec_of(family)


@functools.cache
def _fields(cls: type[Record]) -> tuple[Field, ...]:
    return fields_of(cls, _OTHER_KEYS)


@functools.cache
def _keys(cls: type[Record]) -> frozenset[str]:
    """The keys of a class, its tag's among them."""
    tag_field = cls.__struct_config__.tag_field
    return frozenset(field.key for field in _fields(cls)).union(() if tag_field is None else (tag_field,))


def _unwrapped(variant: str, value: Any) -> Any:
    if value == variant:
        return {}
    if isinstance(value, Mapping) and len(value) == 1 and variant in value:
        return value[variant]
    raise Unfit(f"expected the variant {variant}")
