"""The registries that these tests use."""

from tests.process_registries import clock, registries, registry

__all__ = ["clock", "registries", "registry"]
