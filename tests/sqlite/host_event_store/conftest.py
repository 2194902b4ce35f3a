"""The stores of the conformance tests."""

from tests.conformance.host_events.conftest import clock, open_file, store

__all__ = ["clock", "open_file", "store"]
