"""What lies in columns: a text that UTF-8 cannot hold is refused on the way in, and is damage on the way out."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lash_store.errors import InvalidRecord, StoreCorrupt
from lash_store.records.layout import Unfit, text_form


def column_text(kind: str, field: str, value: str) -> str:
    """`value`, if a column holds it. Raises InvalidRecord for the `field` of a `kind` if not."""
    if not isinstance(value, str):
        raise InvalidRecord(kind, f"$.{field}", f"expected a string, got a {type(value).__name__}")
    try:
        return text_form(value)
    except Unfit as unfit:
        raise InvalidRecord(kind, f"$.{field}", unfit.reason) from None


def column_texts(kind: str, field: str, values: Iterable[str]) -> list[str]:
    """All of `values`. Raises InvalidRecord as `column_text` does, and for a text, which is no list of texts."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidRecord(kind, f"$.{field}", f"expected a list, got a {type(values).__name__}")
    return [column_text(kind, f"{field}[{index}]", value) for index, value in enumerate(values)]


@contextmanager
def readable(kind: str, key: str) -> Iterator[None]:
    """Raise StoreCorrupt(kind, key) if a row that is read in the block holds no UTF-8 text, or no record."""
    try:
        yield
    except (InvalidRecord, UnicodeDecodeError) as damage:
        raise StoreCorrupt(kind, key) from damage
