"""The registries to try the catalogue on."""

from tests.process_registries import clock, registries, registry

__all__ = ["clock", "registries", "registry"]
