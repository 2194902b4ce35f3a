"""Each scenario of the catalogue has a test that is named for it, and one only."""

import ast
import re
from collections import Counter
from pathlib import Path

SCENARIOS = range(1, 77)


def named_scenarios() -> list[int]:
    """The numbers in the names of this folder's tests, read from their source."""
    functions = [
        node.name
        for path in sorted(Path(__file__).parent.glob("test_*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [int(match[1]) for name in functions if (match := re.match(r"test_scenario_(\d\d)_", name))]


def test_every_scenario_has_its_test() -> None:
    assert Counter(named_scenarios()) == Counter(SCENARIOS)
