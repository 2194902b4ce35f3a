"""What the README says can be done, can be done: its Python runs, and CI runs its command lines."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
FENCE = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#]+)[^)]*\)")
COMMAND = re.compile(r"^<!-- command: (?P<name>\w+) -->\n+```sh\n(?P<line>[^\n]+)\n```$", re.MULTILINE)


def blocks() -> list[object]:
    """Return the README's Python blocks, each named by its line."""
    return [
        pytest.param(found["code"], id=f"line {README.count(chr(10), 0, found.start()) + 1}")
        for found in FENCE.finditer(README)
    ]


def test_the_readme_shows_python() -> None:
    assert blocks()


@pytest.mark.parametrize("code", blocks())
def test_python_block_runs(code: str, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(code, "utf-8")
    command = [sys.executable, "-W", "error", "block.py"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_python_blocks_are_typed(tmp_path: Path) -> None:
    """A reader who copies one into a project that is checked strictly finds nothing to mend."""
    pytest.importorskip("mypy")
    files = [tmp_path / f"readme_block_{number}.py" for number, _ in enumerate(blocks())]
    for file, found in zip(files, FENCE.finditer(README), strict=True):
        file.write_text(found["code"], "utf-8")
    command: list[str | Path] = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", *files]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert finished.stdout, finished.stderr
    assert [line for line in finished.stdout.splitlines() if "readme_block_" in line] == []


def test_the_first_example_is_a_session_in_ten_lines() -> None:
    first = FENCE.search(README)
    assert first is not None
    body = first["code"].partition("async def main")[2].splitlines()
    assert "create_store" in body[1]
    assert len([line for line in body if line.strip()]) <= 10


def test_the_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in LINK.findall(page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def readme_command(name: str, readme: Path) -> subprocess.CompletedProcess[str]:
    """Ask the script that .ci/run asks."""
    command: list[str | Path] = [sys.executable, ROOT / ".ci" / "readme_command.py", name, readme]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "module"), [("test", "pytest"), ("bench", "bench.contention")])
def test_ci_runs_the_command_line_of_the_readme(name: str, module: str) -> None:
    lines = [found["line"] for found in COMMAND.finditer(README) if found["name"] == name]
    assert len(lines) == 1
    assert lines[0].startswith("python3 -m venv .venv && ")
    assert lines[0].endswith(f" -m {module}")
    assert readme_command(name, ROOT / "README.md").stdout == lines[0] + "\n"
    run = (ROOT / ".ci" / "run").read_text("utf-8")
    assert f"\n{name}_command=$(python3 .ci/readme_command.py {name})\n" in run
    assert f' bash -euo pipefail -c "${name}_command' in run


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nmake test\n```\n",
        "<!-- command: test -->\n```sh\none\ntwo\n```\n",
        "<!-- command: test -->\n```sh\none\n```\n" * 2,
        "<!-- command: bench -->\n```sh\none\n```\n",
    ],
    ids=["no marker", "two lines", "twice", "another"],
)
def test_a_readme_without_exactly_one_command_line_is_refused(text: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, "utf-8")
    finished = readme_command("test", readme)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "exactly one command line" in finished.stderr


def test_ci_script_is_executable_and_valid() -> None:
    run = ROOT / ".ci" / "run"
    if os.name == "posix":
        assert os.access(run, os.X_OK)
    assert run.read_text("utf-8").startswith("#!/usr/bin/env bash\n")
