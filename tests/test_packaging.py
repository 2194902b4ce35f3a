"""The packaging files agree with the tree: what is compiled, what is shipped, what is promised."""

import fnmatch
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SOURCES = "lash_store/sqlite/native/src"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def extension() -> dict[str, Any]:
    (only,) = PROJECT["tool"]["setuptools"]["ext-modules"]
    assert isinstance(only, dict)
    return only


def native_files(pattern: str) -> list[str]:
    return sorted(f"{SOURCES}/{path.name}" for path in (ROOT / SOURCES).glob(pattern))


def test_every_c_source_is_compiled() -> None:
    assert extension()["sources"] == native_files("*.c")


def test_every_header_is_a_dependency() -> None:
    """What is listed is shipped in the sdist and makes the module be built again when it changes."""
    assert extension()["depends"] == native_files("*.h")


def test_the_limited_api_is_that_of_the_oldest_python() -> None:
    macros = dict(extension()["define-macros"])
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    major, minor = map(int, oldest.split("."))
    tag = f"cp{major}{minor}"
    assert int(macros["Py_LIMITED_API"], 16) == major << 24 | minor << 16
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
