"""The packaging files agree with the tree: what is compiled, what is shipped, what is promised."""

import fnmatch
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def extensions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = PROJECT["tool"]["setuptools"]["ext-modules"]
    return found


def c_files(extension: dict[str, Any], pattern: str) -> list[str]:
    folder = Path(extension["name"].replace(".", "/")).parent / "src"
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob(pattern))


def test_every_c_source_belongs_to_an_extension() -> None:
    listed = sorted(source for extension in extensions() for source in extension["sources"])
    assert listed == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "lash_store").rglob("*.c"))


@pytest.mark.parametrize("extension", extensions(), ids=lambda extension: extension["name"])
def test_every_c_source_is_compiled(extension: dict[str, Any]) -> None:
    assert extension["sources"] == c_files(extension, "*.c")


@pytest.mark.parametrize("extension", extensions(), ids=lambda extension: extension["name"])
def test_every_header_is_a_dependency(extension: dict[str, Any]) -> None:
    """What is listed is shipped in the sdist and makes the module be built again when it changes."""
    assert extension["depends"] == c_files(extension, "*.h")


def test_the_limited_api_is_that_of_the_oldest_python() -> None:
    (limits,) = {dict(extension["define-macros"])["Py_LIMITED_API"] for extension in extensions()}
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    major, minor = map(int, oldest.split("."))
    tag = f"cp{major}{minor}"
    assert int(limits, 16) == major << 24 | minor << 16
    assert PROJECT["tool"]["distutils"]["bdist_wheel"]["py-limited-api"] == tag
    assert PROJECT["tool"]["cibuildwheel"]["build"] == f"{tag}-*"
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PROJECT["tool"]["ruff"]["target-version"] == tag.replace("cp", "py")


def test_the_workflow_tries_every_python_that_is_promised() -> None:
    prefix = "Programming Language :: Python :: 3."
    promised = [name.rpartition(" ")[2] for name in PROJECT["project"]["classifiers"] if name.startswith(prefix)]
    matrix = ", ".join(f'"{version}"' for version in promised)
    assert f"python: [{matrix}]" in (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")


def test_the_changelog_has_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    version, when = headings[0]
    assert version == PROJECT["project"]["version"]
    assert when == "Unreleased" or re.fullmatch(r"\d{4}-\d{2}-\d{2}", when)


def test_the_wheel_tests_bring_what_the_tests_read() -> None:
    brought = PROJECT["tool"]["cibuildwheel"]["test-sources"]
    assert all((ROOT / name).exists() for name in brought)
    assert not any(fnmatch.fnmatch(name, "lash_store") for name in brought), "would hide the installed wheel"
