"""Records of host events: which keys must be there, what absent ones mean, and in which order they are written."""

import json
from typing import Any

import pytest

from lash_store.errors import InvalidRecord
from lash_store.records.host_event import (
    HostEvent,
    HostEventEmitReport,
    HostEventOccurrenceRecord,
    HostEventOccurrenceRequest,
    HostEventPayloadType,
)
from lash_store.records.host_event_trigger import (
    TriggerInputBindingFixed,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
)
from tests.golden import vectors
from tests.host_event_examples import EVENT_TY, draft, pressed

SUBSCRIPTION = vectors.text("trigger_subscription.json")
OCCURRENCE: dict[str, Any] = {
    "occurrence_id": "o",
    "source_type": "t",
    "source_key": "k",
    "payload": None,
    "idempotency_key": "i",
    "occurred_at_ms": 1,
}


def without(value: dict[str, Any], key: str) -> str:
    return json.dumps({each: item for each, item in value.items() if each != key})


@pytest.mark.parametrize("key", [*json.loads(SUBSCRIPTION)])
def test_which_keys_a_subscription_needs(key: str) -> None:
    text = without(json.loads(SUBSCRIPTION), key)
    if key in ("name", "enabled"):
        read = TriggerSubscriptionRecord.from_json(text)
        assert (read.name, read.enabled) == (None if key == "name" else "on_button", True)
        assert (b',"name":' in read.to_json()[:100], b'"enabled":true' in read.to_json()) == (key != "name", True)
    else:
        with pytest.raises(InvalidRecord, match=f"{key}: the key is missing"):
            TriggerSubscriptionRecord.from_json(text)


def test_nulls_of_a_subscription() -> None:
    value = json.loads(SUBSCRIPTION)
    assert TriggerSubscriptionRecord.from_json(json.dumps(value | {"name": None})).name is None
    assert TriggerSubscriptionRecord.from_json(json.dumps(value | {"source": None})).source is None
    with pytest.raises(InvalidRecord):
        TriggerSubscriptionRecord.from_json(json.dumps(value | {"enabled": None}))


@pytest.mark.parametrize("key", [*OCCURRENCE])
def test_which_keys_an_occurrence_needs(key: str) -> None:
    text = without(OCCURRENCE, key)
    if key == "payload":
        assert HostEventOccurrenceRecord.from_json(text).payload is None
    else:
        with pytest.raises(InvalidRecord, match=f"{key}: the key is missing"):
            HostEventOccurrenceRecord.from_json(text)


def test_the_texts_of_an_occurrence() -> None:
    record = HostEventOccurrenceRecord(**OCCURRENCE)
    assert record.to_json() == json.dumps(OCCURRENCE, separators=(",", ":")).encode()
    request = HostEventOccurrenceRequest(source_type="t", source_key="k", idempotency_key="i", source={"b": 1, "a": 2})
    assert request.to_json() == (
        b'{"source_type":"t","source_key":"k","payload":null,"idempotency_key":"i","source":{"a":2,"b":1}}'
    )
    assert HostEventOccurrenceRequest.from_json(pressed().to_json()) == pressed()


def test_the_texts_of_a_draft() -> None:
    template = {"b": TriggerInputBindingFixed({"y": 1, "x": 2}), "a": TriggerInputBindingFixed(None)}
    text = draft(None, input_template=template).to_json()
    assert text.endswith(
        b'"process_name":"on_button","input_template":'
        b'{"a":{"kind":"fixed","value":null},"b":{"kind":"fixed","value":{"x":2,"y":1}}}}'
    )
    assert text.startswith(b'{"session_id":"session-a","source_type"')
    assert TriggerSubscriptionDraft.from_json(text).input_template == template
    with pytest.raises(InvalidRecord):
        TriggerSubscriptionDraft.from_json(text.replace(b'"kind":"fixed"', b'"kind":"other"'))


def test_a_type_expression_keeps_its_order() -> None:
    ty = {"Object": [{"optional": True, "name": "n", "ty": "Int"}]}
    event = HostEvent("r", "a", "e", HostEventPayloadType("T", ty))
    assert event.to_json() == (
        b'{"resource_type":"r","alias":"a","event":"e",'
        b'"payload_ty":{"name":"T","ty":{"Object":[{"optional":true,"name":"n","ty":"Int"}]}}}'
    )
    assert HostEvent.from_json(event.to_json()) == event
    assert draft().event_ty == EVENT_TY


def test_reports() -> None:
    assert HostEventEmitReport("o", ["p"]).to_json() == b'{"occurrence_id":"o","started_process_ids":["p"]}'
    assert HostEventEmitReport().to_json() == b'{"started_process_ids":[]}'


def test_filters_ask_only_for_what_they_name() -> None:
    record = TriggerSubscriptionRecord.from_json(SUBSCRIPTION)
    assert TriggerSubscriptionFilter().matches(record)
    assert TriggerSubscriptionFilter(handle="trigger:1", target=record.target, enabled=True).matches(record)
    others: list[dict[str, Any]] = [
        {"session_id": "b"},
        {"enabled": False},
        {"name": ""},
        {"source_key": "k"},
        {"handle": "trigger:2"},
    ]
    for other in others:
        assert not TriggerSubscriptionFilter(**other).matches(record)
