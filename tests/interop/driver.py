"""lash v0.1.0-alpha.40 itself as another process on the file: `alpha40/` built, and asked by lines of JSON."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from lash_store import Record

R = TypeVar("R", bound=Record)
VARIABLE: Final = "LASH_STORE_ALPHA40"
HOW_TO_BUILD: Final = (
    f"{VARIABLE} does not name the driver of lash v0.1.0-alpha.40; build it with "
    "`cargo build --release --locked --manifest-path tests/interop/alpha40/Cargo.toml`"
)
_PATIENCE_S: Final = 60.0
_LONGEST_LINE: Final = 1 << 28


class Alpha40Refused(Exception):
    """What alpha.40 answered with instead of a value: the text of its error."""


class Alpha40:
    """A running alpha.40. It answers one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """For `running`."""
        self._process = process
        self._asking = asyncio.Lock()

    async def __call__(self, op: str, **arguments: Any) -> Any:
        """What an operation of alpha.40 returns, as plain JSON. Raises Alpha40Refused."""
        request = {"op": op, "args": {name: _plain(argument) for name, argument in arguments.items()}}
        async with self._asking, asyncio.timeout(_PATIENCE_S):
            assert self._process.stdin is not None
            self._process.stdin.write(msgspec.json.encode(request) + b"\n")
            await self._process.stdin.drain()
            return await self._answer()

    async def record(self, kind: type[R], op: str, **arguments: Any) -> R:
        """The record that an operation returns."""
        return kind.from_json(await self(op, **arguments))

    async def records(self, kind: type[R], op: str, **arguments: Any) -> list[R]:
        """The records that an operation returns."""
        return [kind.from_json(answer) for answer in await self(op, **arguments)]

    async def maybe(self, kind: type[R], op: str, **arguments: Any) -> R | None:
        """The record that an operation returns, or None."""
        answer = await self(op, **arguments)
        return None if answer is None else kind.from_json(answer)

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, f"alpha.40 has ended: {self._process.returncode}"
        answer = msgspec.json.decode(line)
        if "error" in answer:
            raise Alpha40Refused(answer["error"])
        return answer["ok"]

    async def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(_PATIENCE_S):
            assert await self._process.wait() == 0


@asynccontextmanager
async def running(kind: str, path: Path | None = None) -> AsyncIterator[Alpha40]:
    """alpha.40 with a database open: "session", "processes", "effects" or "host_events"; or "records" without one.

    Raises OSError if the driver cannot be started, Alpha40Refused if alpha.40 cannot open the database.
    """
    process = await asyncio.create_subprocess_exec(
        os.environ[VARIABLE],
        kind,
        *([] if path is None else [str(path)]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    alpha = Alpha40(process)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await alpha._answer()
        yield alpha
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    await alpha._end()


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return msgspec.Raw(value.to_json())
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
