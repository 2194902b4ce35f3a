"""Records written by C: the one place that brings in the module, and the tables by which it writes.

The writers of `Record` make a plain value, which a codec then makes text of. For the usual record the C module writes
the same bytes in one pass. It answers None for anything that is not usual, and without the module, which
`lash_store.native_choice` decides, the functions here answer so to everything; then the writers in Python do the work,
or raise. They alone say what is right.
"""

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lash_store import native_choice
from lash_store.records.layout import Fields, Layout, MapOf, Plain

if TYPE_CHECKING:
    from lash_store.records._encoder import Writer

IMPLEMENTATION = "python"
if native_choice.CHOICE != "python":
    try:
        from lash_store.records._encoder import Writer

        IMPLEMENTATION = "c"
    except ImportError as error:
        native_choice.do_without(error)

Form: TypeAlias = tuple[Any, ...]
"""How one value is written: what kind it is, and what more there is to know of it. Classes stand for their records."""


_writers: Final[dict[type[Any], "Writer | None"]] = {}


def compact(record: object) -> bytes | None:
    """What `to_json` gives, or None."""
    cls = type(record)
    writer = _writers[cls] if cls in _writers else _writer_of(cls)
    return None if writer is None else writer.compact(record)


def hashed(record: object) -> bytes | None:
    """The canonical text of a record without what differs between two attempts at one turn, or None."""
    writer = _writer_of(type(record))
    return None if writer is None else writer.hashed(record)


def packed(record: object) -> bytes | None:
    """The MessagePack bytes of what `write_plain` gives, or None."""
    writer = _writer_of(type(record))
    return None if writer is None else writer.packed(record)


def free_writer(layout: Layout) -> "Writer | None":
    """The writer of uninterpreted values of one layout; None without the C module."""
    if IMPLEMENTATION != "c":
        return None
    writer = Writer()
    writer.define(("free", _layout(layout)))
    return writer


def _writer_of(cls: type[Any]) -> "Writer | None":
    if cls not in _writers:
        if IMPLEMENTATION != "c":
            _writers[cls] = None
        else:
            # First known, then defined: records of a class may lie in each other.
            writer = _writers[cls] = Writer()
            form = cls.encoder_form()
            if form is not None:
                writer.define(_table(form))
    return _writers[cls]


def _table(form: Form) -> tuple[Any, ...]:
    """A form as the C module wants it: a writer beside every class, layouts spelt out."""
    kind = form[0]
    if kind in ("record", "wrapped"):
        return (kind, tuple((cls, _writer_of(cls), name) for cls, name in form[1]))
    if kind in ("list", "optional", "nulled", "trimmed", "set"):
        return (kind, _table(form[1]))
    if kind == "free":
        return (kind, _layout(form[1]))
    if kind == "fields":
        _, variant, through, cases = form
        return (kind, variant, through, tuple((cls, tuple(map(_key, keys))) for cls, keys in cases))
    return form


def _key(key: tuple[str, bool, Form, str]) -> tuple[str, bool, Form, str]:
    name, inner, form, omission = key
    return name, inner, _table(form), omission


_PLAIN: Final = {Plain.SORTED: ("sorted",), Plain.AS_GIVEN: ("as given",), Plain.BYTES: ("octets",)}


def _layout(layout: Layout) -> Form:
    if isinstance(layout, MapOf):
        return ("map of", _layout(layout.value))
    if isinstance(layout, Fields):
        keys = layout.keys.items()
        return ("struct", tuple((n, _layout(key.value), key.absent, key.always, key.needs) for n, key in keys))
    return _PLAIN[layout]
