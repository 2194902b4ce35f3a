"""Names and identifiers that readers of the file recognise (specification 4.4, 4.9, 4.10; vectors A.1, A.4)."""

import hashlib
from typing import Final

from lash_store.errors import InvalidJsonValue

_KEPT: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_LONGEST_STEM: Final = 80
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def session_file_name(session_id: str) -> str:
    """The name of a session's database file: what can be read of the id, and enough of its hash to be its own.

    Raises InvalidJsonValue if the id holds lone surrogates.
    """
    stem = "".join(character if character in _KEPT else "_" for character in session_id).strip("_") or "session"
    return f"{stem[:_LONGEST_STEM]}-{_hash(session_id)[:16]}.db"


def batch_id(session_id: str, source_key: str | None, now_ms: int, nonce: int | str) -> str:
    """The id of a queued-work batch. Nobody computes it again, so `nonce` should come from a random source."""
    key = "None" if source_key is None else f'Some("{_escaped(source_key)}")'
    return f"qwb:{_hash(f'{session_id}:{key}:{now_ms}:{nonce}')}"


def item_id(batch: str, index: int) -> str:
    """The id of the item at 0-based position `index` of a batch."""
    return f"{batch}:item:{index}"


def claim_id(enqueue_seq: int, fencing_token: int) -> str:
    """The id of a claim: the queue position of its first batch, and how often that one was claimed, this time too."""
    return f"qwc:{enqueue_seq}:{fencing_token}"


def lease_token(session_id: str, owner_id: str, claim: str, now_ms: int) -> str:
    """The lease token as upstream derives it. It can be guessed; a random text of 64 hex digits serves as well."""
    return _hash(f"{session_id}:{owner_id}:{claim}:{now_ms}")


def wake_source_key(process_id: str, sequence: int) -> str:
    """The source key under which the wake of a process event is enqueued (specification 3.16)."""
    return f"process:{process_id}:event:{sequence}:wake"


def _escaped(text: str) -> str:
    return "".join(
        _ESCAPES.get(character, character if character.isprintable() else f"\\u{{{ord(character):x}}}")
        for character in text
    )


def _hash(text: str) -> str:
    try:
        return hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise InvalidJsonValue("$", "the text holds a lone surrogate") from None
