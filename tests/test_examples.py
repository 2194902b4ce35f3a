"""The example under docs/ does what it says."""

import importlib.util
from pathlib import Path
from types import ModuleType

LOOP = Path(__file__).parent.parent / "docs" / "agent_loop.py"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_agent_loop_survives_being_killed(tmp_path: Path) -> None:
    said = loaded(LOOP).demonstrate(tmp_path, kills=5)
    assert said.startswith("killed 5 times; 30 questions, each answered once, in ")
