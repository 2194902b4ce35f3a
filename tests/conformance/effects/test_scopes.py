"""Scenarios 1 to 4: the scope of a controller."""

import pytest

from lash_store.errors import EffectRefused, RuntimeEffectControllerError
from lash_store.records.artifacts import DurabilityTier
from lash_store.records.effect_scope import (
    EffectScope,
    EffectScopeProcess,
    EffectScopeQueueDrain,
    EffectScopeRuntimeOperation,
    EffectScopeSessionDelete,
    EffectScopeTurn,
)
from tests.conformance.effects.conftest import Effects

BLANK = [
    EffectScopeTurn("", "turn"),
    EffectScopeTurn("session", ""),
    EffectScopeProcess(""),
    EffectScopeQueueDrain("session", ""),
    EffectScopeSessionDelete(""),
    EffectScopeRuntimeOperation(""),
    EffectScopeTurn("session", " \u3000\t"),
]


async def test_scenario_1_a_queue_drain(effects: Effects) -> None:
    scope = EffectScopeQueueDrain("session-1", "drain-1")
    controller = (await effects.host()).scoped(scope)
    assert (controller.effect_scope, controller.scope_id, controller.turn_id) == (scope, "drain-1", None)


async def test_scenario_2_a_turn(effects: Effects) -> None:
    controller = (await effects.host()).scoped(EffectScopeTurn("session-1", "turn-1"))
    assert (controller.scope_id, controller.turn_id) == ("turn-1", "turn-1")


@pytest.mark.parametrize("scope", BLANK)
async def test_scenario_3_a_blank_key(effects: Effects, scope: EffectScope) -> None:
    host = await effects.host()
    for scoped in (host.scoped, host.scoped_static):
        with pytest.raises(EffectRefused) as refused:
            scoped(scope)
        assert refused.value.code == "missing_effect_scope_id"
        assert isinstance(refused.value, RuntimeEffectControllerError)


@pytest.mark.parametrize("scope", BLANK)
async def test_a_controller_of_its_own_validates_its_scope(effects: Effects, scope: EffectScope) -> None:
    with pytest.raises(EffectRefused) as refused:
        await effects.controller(scope)
    assert refused.value.code == "missing_effect_scope_id"


async def test_scenario_4_a_static_scope(effects: Effects) -> None:
    scope = EffectScopeRuntimeOperation("static-runtime-op")
    controller = (await effects.host()).scoped_static(scope)
    assert (controller.effect_scope, controller.scope_id) == (scope, "static-runtime-op")


async def test_properties(effects: Effects) -> None:
    host = await effects.host()
    for each in (host, host.scoped(EffectScopeProcess("p"))):
        assert each.durability_tier is DurabilityTier.DURABLE
        assert each.requires_durable_attachment_store is True


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (EffectScopeTurn("s", "t"), '{"type":"turn","session_id":"s","turn_id":"t"}'),
        (EffectScopeProcess("p"), '{"type":"process","process_id":"p"}'),
        (EffectScopeQueueDrain("s", "d"), '{"type":"queue_drain","session_id":"s","drain_id":"d"}'),
        (EffectScopeSessionDelete("s"), '{"type":"session_delete","session_id":"s"}'),
        (EffectScopeRuntimeOperation("o"), '{"type":"runtime_operation","operation_id":"o"}'),
    ],
)
def test_the_text_of_a_scope(scope: EffectScope, text: str) -> None:
    assert scope.to_json().decode() == text
    assert type(scope).from_json(text) == scope
