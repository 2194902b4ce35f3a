"""Hashes as the files hold them: hex sha256, 64 lower-case digits."""

import hashlib
from typing import Any

from lash_store.errors import InvalidJsonValue
from lash_store.records import json_text
from lash_store.records.layout import Unfit, stored_form


def content_hash(content: bytes) -> str:
    """The key of a blob: the hash of its logical content, whatever envelope or compression it is kept in."""
    return hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The text of free JSON that hashes are taken over: compact, the keys of every object sorted by their UTF-8 bytes.

    Raises InvalidJsonValue if the value has no JSON form (specification 3.1, 4.8).
    """
    try:
        text = json_text.canonical(stored_form(value))
        json_text.require_depth(text)
    except Unfit as unfit:
        raise InvalidJsonValue(unfit.path, unfit.reason) from None
    return text


def canonical_hash(value: Any) -> str:
    """The hash of `canonical_json(value)`. Raises InvalidJsonValue as that does."""
    return content_hash(canonical_json(value))
