"""Every decision has the same form, and stands in the index under its own title."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_has_a_status_a_question_and_a_decision(record: Path) -> None:
    lines = record.read_text("utf-8").splitlines()
    assert re.fullmatch(rf"# {int(record.name[:4])}\. .+", lines[0])
    assert re.fullmatch(r"\*\*Status:\*\* (accepted|replaced by \d+)\.", lines[2])
    headings = [line for line in lines if line.startswith("## ")]
    assert headings[0] == "## Question"
    assert "## Decision" in headings


def test_the_index_lists_them_all() -> None:
    index = (FOLDER / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(\d+)\]\((.+?)\) \| (.+?) \| (.+?) \|$", index, re.MULTILINE)
    expected = []
    for record in RECORDS:
        title, _, status, *_ = record.read_text("utf-8").splitlines()
        number = str(int(record.name[:4]))
        said = status.removeprefix("**Status:** ").removesuffix(".")
        expected.append((number, record.name, title.removeprefix(f"# {number}. "), said))
    assert rows == expected
