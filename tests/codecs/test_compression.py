"""What is compressed can be inflated by any zlib, whichever library made it."""

import random
import zlib
from collections.abc import Callable

import pytest

from lash_store.codecs import compression
from lash_store.records.layout import Unfit

PROSE = b"the quick brown fox jumps over the lazy dog " * 4000
NOISE = random.Random(7).randbytes(100_000)
CONTENTS = [b"", b"x", PROSE[:511], PROSE[:512], PROSE[:4096], PROSE, NOISE[:4096], NOISE, bytes(1 << 20)]


@pytest.fixture(params=["isal", "zlib"])
def deflate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], bytes]:
    if request.param == "zlib":
        monkeypatch.setattr(compression, "_isal", None)
    else:
        pytest.importorskip("isal")
        assert compression._isal is not None
    return compression.deflate


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
def test_any_zlib_inflates_it(deflate: Callable[[bytes], bytes], content: bytes) -> None:
    stream = deflate(content)
    assert zlib.decompress(stream) == content
    assert compression.inflate(stream) == content


def test_prose_gets_smaller(deflate: Callable[[bytes], bytes]) -> None:
    assert len(deflate(PROSE[:4096])) < 400


def test_a_damaged_stream_is_refused(deflate: Callable[[bytes], bytes]) -> None:
    stream = bytearray(deflate(NOISE))
    stream[-1] ^= 1
    with pytest.raises(Unfit, match="damaged"):
        compression.inflate(bytes(stream))
    with pytest.raises(Unfit, match="cut short"):
        compression.inflate(bytes(stream[:-4]))
