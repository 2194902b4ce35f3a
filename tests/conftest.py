"""What every test run shares: the header that says what was tested, and Hypothesis' settings."""

import sys

import apsw
import hypothesis
import pytest

from lash_store.sqlite import native
from tests import compiled

# These read ELF files and /proc; elsewhere they hold no test.
collect_ignore = [] if sys.platform == "linux" else ["test_sanitizers.py", "test_symbols.py"]

hypothesis.settings.register_profile("lash_store", deadline=None, print_blob=True)
hypothesis.settings.load_profile("lash_store")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which implementation ran, on which SQLite, and whether sanitizers watched."""
    return [
        f"lash_store: native implementation {native.IMPLEMENTATION}, sanitizers {compiled.sanitizers() or 'off'}",
        f"SQLite {apsw.sqlite_lib_version()}, apsw {apsw.apsw_version()}",
    ]
