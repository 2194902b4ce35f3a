"""Outlines of envelopes: enough to say at which JSON paths two envelopes differ, and nothing of what they hold.

The file keeps only the hash of an envelope, which tells that an effect was changed, but not where. An outline is the
envelope with a short digest in place of every value. What would be too long loses its deepest levels: there one digest
stands for a whole array or object, so that a conversation of any length has an outline of a few kilobytes.
"""

import base64
import hashlib
from typing import Any, Final

import msgspec

_DIGEST_BYTES: Final = (
    6  # a chance hit costs one path in a message: the stable hash has told the envelopes apart before
)
_LONGEST: Final = 4096
_DEPTHS: Final = (127, 8, 6, 5, 4, 3)
"""Levels that are kept, tried in turn; the messages of a model request lie in the fourth, its blocks in the sixth."""


def envelope_outline(scope: bytes, envelope: bytes) -> str:
    """The outline of an effect: the JSON texts of its scope and of its envelope, as they are hashed."""
    whole = _digests(_whole(scope, envelope))
    text = b""
    for depth in _DEPTHS:
        text = msgspec.json.encode(_cut(whole, depth))
        if len(text) <= _LONGEST:
            break
    return text.decode()


def differing_paths(outline: str, scope: bytes, envelope: bytes) -> list[str]:
    """Where an effect differs from the one that `outline` was made of, for example `$.command.code`, in order."""
    paths: list[str] = []
    _compare(msgspec.json.decode(outline), _digests(_whole(scope, envelope)), "$", paths)
    return paths


def _whole(scope: bytes, envelope: bytes) -> Any:
    return {"scope": msgspec.json.decode(scope), **msgspec.json.decode(envelope)}


def _digests(value: Any) -> Any:
    """The value with a digest in place of everything that is no array or object."""
    if isinstance(value, dict):
        return {key: _digests(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_digests(item) for item in value]
    return _digest(value)


def _cut(digests: Any, depth: int) -> Any:
    """The first `depth` levels, and one digest for each array or object below."""
    if isinstance(digests, str):
        return digests
    if depth == 0:
        return _digest(digests)
    if isinstance(digests, dict):
        return {key: _cut(item, depth - 1) for key, item in digests.items()}
    return [_cut(item, depth - 1) for item in digests]


def _digest(value: Any) -> str:
    return base64.b64encode(hashlib.blake2b(msgspec.json.encode(value), digest_size=_DIGEST_BYTES).digest()).decode()


def _compare(outline: Any, digests: Any, path: str, paths: list[str]) -> None:
    if isinstance(outline, dict) and isinstance(digests, dict):
        for key in [*outline, *(key for key in digests if key not in outline)]:
            if key in outline and key in digests:
                _compare(outline[key], digests[key], f"{path}.{key}", paths)
            else:
                paths.append(f"{path}.{key}")
    elif isinstance(outline, list) and isinstance(digests, list):
        for index in range(max(len(outline), len(digests))):
            if index < min(len(outline), len(digests)):
                _compare(outline[index], digests[index], f"{path}[{index}]", paths)
            else:
                paths.append(f"{path}[{index}]")
    elif outline != (digests if isinstance(digests, str) else _digest(digests)):
        paths.append(path)
