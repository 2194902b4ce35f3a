"""docs/api.md names everything that is public, and nothing else."""

import re
from pathlib import Path

import lash_store

PAGE = (Path(__file__).parent.parent / "docs" / "api.md").read_text("utf-8")


def test_every_public_name_has_one_line() -> None:
    named = re.findall(r"^\| `(\w+)` \| .+ \|$", PAGE, re.MULTILINE)
    assert sorted(named) == lash_store.__all__
