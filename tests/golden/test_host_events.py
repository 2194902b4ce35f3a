"""Keys, hashes and texts of host events, as given by the effects and host events specification (2.6, 3.2, 3.3)."""

from lash_store.codecs.host_event_ids import (
    default_host_event_source_key,
    deterministic_delivery_process_id,
    deterministic_occurrence_id,
    empty_host_event_source_key,
    host_event_occurrence_request_hash,
)
from lash_store.records.host_event import HostEventOccurrenceRecord
from lash_store.records.host_event_trigger import TriggerDeliveryReservation, TriggerSubscriptionRecord
from lash_store.rules.host_event_start import start_envelope
from tests.golden import vectors
from tests.host_event_examples import BUTTON, OCCURRENCE_ID, PROCESS_ID, SOURCE_KEY, pressed

H1 = "93e835cc58c043e45895883a41ffa460ab70a2372d57b8b6c23920025601c479"
H2 = "554734334199f3716c406581013c58d3f5572377d6257dc8ca22ec09e5259fe4"
H3 = "a103c1fceedb515dfddfaf0ce9254867725c11a4ecfe940a28dfec33892bf3c3"
H4 = "b02bcddce410a874ac10380ace573ed1b4a7e498d06669169b820427970cddf9"
H5 = "6afdfa6994a29e10641199b3c53f3e9cf8668f0d65da23c95c8ba454769ad4f3"
H6 = "a02d92ab65436242f68d536c759d5dd809f268f45cadf853076ce7be6e0480c2"
H7 = "ef18266188cce9988a7fc8549a384ac811cd4f562530919fc5e0680a0312d2b2"
E8 = "cd5c0a47808cd60b77263eb76db7859d414a3eef5c73f0f1705bb533fc11b361"


def test_source_keys() -> None:
    assert empty_host_event_source_key(BUTTON) == SOURCE_KEY == f"source:{BUTTON}:sha256:{H1}"
    assert default_host_event_source_key(BUTTON, {}) == f"source:{BUTTON}:sha256:{H1}"
    assert default_host_event_source_key(BUTTON, {"button": "Blue"}) == f"source:{BUTTON}:sha256:{H2}"


def test_request_hashes() -> None:
    assert host_event_occurrence_request_hash(pressed()) == H3
    assert host_event_occurrence_request_hash(pressed("another")) == H3
    assert host_event_occurrence_request_hash(pressed(source=None)) == H4


def test_identifiers() -> None:
    assert deterministic_occurrence_id(pressed()) == OCCURRENCE_ID == f"host_event:{H5}"
    assert deterministic_occurrence_id(pressed("button-blue-2")) == f"host_event:{H6}"
    assert deterministic_delivery_process_id(OCCURRENCE_ID, "subscription:1") == PROCESS_ID
    assert f"process:host-event:{H7}" == PROCESS_ID


def test_the_text_of_a_subscription() -> None:
    text = vectors.text("trigger_subscription.json")
    assert TriggerSubscriptionRecord.from_json(text).to_json().decode() == text


def test_the_effect_that_starts_a_process() -> None:
    subscription = TriggerSubscriptionRecord.from_json(vectors.text("trigger_subscription.json"))
    request = pressed()
    occurrence = HostEventOccurrenceRecord(
        occurrence_id=OCCURRENCE_ID,
        source_type=request.source_type,
        source_key=request.source_key,
        payload=request.payload,
        idempotency_key=request.idempotency_key,
        source=request.source,
        occurred_at_ms=1,
    )
    envelope = start_envelope(TriggerDeliveryReservation(occurrence, subscription, PROCESS_ID), "default")
    assert envelope.hashed_text().decode() == vectors.text("host_event_start.json")
    assert len(envelope.hashed_text()) == 2359
    assert envelope.stable_hash() == E8
