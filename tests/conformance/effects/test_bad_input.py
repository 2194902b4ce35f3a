"""What is no scope and no envelope is refused with a typed error, before anything is opened or written."""

import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lash_store.errors import EffectRefused, InvalidJsonValue, InvalidRecord, StoreError
from lash_store.records.effect_command import RuntimeEffectCommandExecCode, process_command_effect_id
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_scope import EffectScopeTurn
from lash_store.records.invocation import (
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeReplay,
    RuntimeScope,
    RuntimeSubjectEffect,
)
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from tests.conformance.effects.conftest import Effects
from tests.effects import Executor, exec_envelope, exec_outcome

BAD: list[Any] = [5, 1.5, True, "x", [], {}, b"x", object()]
HASH = "runtime_effect_envelope_hash"
EXEC = RuntimeEffectKind.EXEC_CODE
COMMAND = RuntimeEffectCommandExecCode("c")


def envelope(command: Any = COMMAND, **fields: Any) -> RuntimeEffectEnvelope:
    values: dict[str, Any] = {
        "scope": RuntimeScope("s"),
        "subject": RuntimeSubjectEffect("e", EXEC),
        "caused_by": None,
        "replay": RuntimeReplay("k"),
    }
    return RuntimeEffectEnvelope(RuntimeInvocation(**(values | fields)), command)


CASES: dict[str, tuple[Callable[[Any], RuntimeEffectEnvelope], str]] = {
    "invocation": (lambda bad: RuntimeEffectEnvelope(bad, COMMAND), HASH),
    "command": (envelope, HASH),
    "subject": (lambda bad: envelope(subject=bad), "runtime_effect_invocation_subject"),
    "scope": (lambda bad: envelope(scope=bad), HASH),
    "caused_by": (lambda bad: envelope(caused_by=bad), HASH),
    "replay": (lambda bad: envelope(replay=bad), HASH),
    "key": (lambda bad: envelope(replay=RuntimeReplay(bad)), HASH),
    "effect_id": (lambda bad: envelope(subject=RuntimeSubjectEffect(bad, EXEC)), HASH),
    "kind": (lambda bad: envelope(subject=RuntimeSubjectEffect("e", bad)), HASH),
    "code": (lambda bad: envelope(RuntimeEffectCommandExecCode(bad)), HASH),
}


@pytest.mark.parametrize(("make", "code"), CASES.values(), ids=CASES)
async def test_what_is_no_envelope(
    controller: SqliteRuntimeEffectController, make: Callable[[Any], RuntimeEffectEnvelope], code: str
) -> None:
    executor = Executor(exec_outcome("m"))
    for bad in BAD:
        if isinstance(bad, str) and make in (CASES["key"][0], CASES["effect_id"][0], CASES["code"][0]):
            continue
        asked = make(bad)
        with pytest.raises(EffectRefused) as refused:
            await controller.execute_effect(asked, executor)
        assert refused.value.code == code
        if code == HASH and make not in (CASES["scope"][0], CASES["caused_by"][0], CASES["code"][0]):
            with pytest.raises(EffectRefused) as built:
                RuntimeEffectEnvelope.new(asked.invocation, asked.command)
            assert built.value.code == code
    assert executor.calls == 0


@pytest.mark.parametrize("bad", [None, *BAD], ids=repr)
async def test_what_is_no_record(controller: SqliteRuntimeEffectController, effects: Effects, bad: Any) -> None:
    host = await effects.host()
    with pytest.raises(InvalidRecord):
        await controller.execute_effect(bad)
    with pytest.raises(InvalidRecord):
        host.scoped(bad)
    with pytest.raises(InvalidRecord):
        await effects.controller(bad)
    with pytest.raises(InvalidRecord):
        process_command_effect_id(bad)
    if bad not in ("x", None):
        with pytest.raises(InvalidRecord):
            host.scoped(EffectScopeTurn("s", bad))


@pytest.mark.parametrize("bad", [None, "x", 1.5, -1, 2**63, True], ids=repr)
async def test_what_is_no_number(effects: Effects, bad: Any) -> None:
    host = await effects.host()
    for call in (
        lambda: host.prune_effects(0, limit=bad),
        lambda: host.prune_effects(bad),
        lambda: host.list_effects("t", limit=bad),
        lambda: host.list_abandoned_effects(limit=bad),
    ):
        with pytest.raises(InvalidRecord):
            await call()


async def test_an_executor_that_is_no_function(controller: SqliteRuntimeEffectController) -> None:
    bad: Any = 5
    with pytest.raises(EffectRefused) as refused:
        await controller.execute_effect(exec_envelope("k", "c"), bad)
    assert refused.value.code == "runtime_effect_local_executor_unavailable"
    assert await controller.execute_effect(exec_envelope("k", "c"), Executor(exec_outcome("m"))) == exec_outcome("m")


@pytest.mark.parametrize("turn_id", ["", "\ud800", 5])
async def test_a_refused_scope_leaves_nothing_open(tmp_path: Path, turn_id: Any) -> None:
    path = tmp_path / "effects.db"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises((EffectRefused, InvalidRecord, InvalidJsonValue)) as refused:
            await SqliteRuntimeEffectController.open(path, EffectScopeTurn("s", turn_id))
        assert isinstance(refused.value, StoreError)
        del refused
        gc.collect()
    assert [warning for warning in caught if warning.category is ResourceWarning] == []
    assert not path.exists()
    await (await SqliteEffectHost.open(path)).close()
