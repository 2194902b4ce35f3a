"""Records some keys of which hold plain JSON to the caller, and records to every reader of the file.

A tool call, a selector or a control effect is given and handed out as a plain dict (specification 4.13). Upstream reads
it as a record, though: what does not decode there makes the whole row unreadable, and the key order enters hashes. So
such a value is checked whenever it is read or written, and written as the record it stands for.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from lash_store.records.json_text import RepeatedKeys
from lash_store.records.layout import Unfit
from lash_store.records.record import Record
from lash_store.records.scalars import Codec, named
from lash_store.records.shape import codec_of


class ShapedRecord(Record, frozen=True):
    """A record with shapes: `SHAPES` says which of its plain keys stand for what.

    `RENAMED` maps keys that Python reserves to the fields that hold them.
    """

    SHAPES: ClassVar[Mapping[str, Codec]] = {}
    RENAMED: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def read_plain(cls, value: Any) -> Self:
        """As `Record.read_plain`."""
        return super().read_plain(_with_fields(value, cls.RENAMED) if cls.RENAMED else value)

    def write_plain(self, hashed: bool) -> Any:
        """As `Record.write_plain`."""
        plain = super().write_plain(hashed)
        if not self.RENAMED:
            return plain
        keys = {field: key for key, field in self.RENAMED.items()}
        return {keys.get(key, key): item for key, item in plain.items()}

    def known_keys(self) -> frozenset[str]:
        """As `Record.known_keys`, the renamed ones under both names."""
        return super().known_keys() | self.RENAMED.keys()

    @classmethod
    def read_fields(cls, value: Mapping[str, Any], fields: Any) -> dict[str, Any]:
        """As `Record.read_fields`; raises Unfit also for a value that is not of its shape."""
        found = super().read_fields(value, fields)
        for key, shape in cls.SHAPES.items():
            if key in found:
                _at(key, shape.read, found[key])
        return found

    def write_fields(self, plain: dict[str, Any], hashed: bool) -> None:
        """As `Record.write_fields`, shaped values in the order of their records."""
        super().write_fields(plain, hashed)
        for key, shape in self.SHAPES.items():
            if key in plain:
                plain[key] = _at(key, shape.write, plain[key], hashed)


def plain_form_of(annotation: Any) -> Codec:
    """A shape: the plain form of a record class or union, or of any other value that a record's field can be."""
    inner = codec_of(annotation)
    return Codec(inner.read, lambda value, hashed: inner.write(inner.read(value), hashed))


def optional(shape: Codec) -> Codec:
    """The shape of a value that may be None."""
    return Codec(
        lambda value: None if value is None else shape.read(value),
        lambda value, hashed: None if value is None else shape.write(value, hashed),
    )


def choice(*names: str) -> Codec:
    """The shape of a text that is one of `names`."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise Unfit(f"expected one of {', '.join(names)}, got {value!r}")
        return value

    return Codec(check, lambda value, hashed: check(value))


def only_entry(value: Any) -> tuple[str, Any]:
    """The name and content of an object with exactly one key. Raises Unfit for anything else."""
    if not isinstance(value, Mapping) or len(value) != 1:
        raise Unfit(f"expected an object with exactly one key, got {named(value)}")
    return next(iter(value.items()))


def _with_fields(value: Any, renamed: Mapping[str, str]) -> Any:
    """The object with keys in place of which fields stand. Nobody else's key can have the name of such a field."""
    if not isinstance(value, Mapping):
        return value
    pairs = [(renamed.get(key, key), item) for key, item in value.items() if key not in renamed.values()]
    if not isinstance(value, RepeatedKeys):
        return dict(pairs)
    again = RepeatedKeys(pairs)
    again.repeated = {renamed.get(key, key) for key in value.repeated}
    return again


def _at(key: str, convert: Any, *arguments: Any) -> Any:
    try:
        return convert(*arguments)
    except Unfit as unfit:
        raise unfit.at(key) from None
