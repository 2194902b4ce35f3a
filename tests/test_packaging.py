"""The packaging files agree with the tree: what is compiled, what is shipped, what is promised."""

import fnmatch
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
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


@pytest.mark.parametrize("job", ["wheels", "sdist"])
def test_what_is_uploaded_was_looked_into(job: str) -> None:
    workflow = (ROOT / ".github" / "workflows" / "wheels.yml").read_text("utf-8")
    (steps,) = re.findall(rf"^  {job}:\n((?:    .*\n|\n)*)", workflow, re.MULTILINE)
    (files,) = re.findall(r"^          path: (.+)$", steps, re.MULTILINE)
    before, _, _ = steps.partition("actions/upload-artifact")
    assert f"run: python .ci/check_dist.py . {files}\n" in before


def test_wheels_are_audited_and_tested_with_what_has_wheels_everywhere() -> None:
    build = PROJECT["tool"]["cibuildwheel"]
    assert build["audit-command"].startswith("abi3audit --strict ")
    assert build["audit-command"].endswith(" {wheel}")
    assert build["test-extras"] == ["test"]


def test_ci_runs_the_bench_command_and_the_peers() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert '"$(python3 .ci/readme_command.py bench) --quick"' in workflow
    peers = workflow[workflow.index("\n  peers:\n") :]
    assert 'pip install -e ".[test,bench,peers]"' in peers
    assert "run: python -m pytest tests/bench\n" in peers
    assert 'LASH_STORE_EXPECT_PEERS: "1"\n' in peers


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two modules, one of them not committed yet, and what is not the distribution's business."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    root = tmp_path / "checkout"
    for name in ("lash_store/__init__.py", "lash_store/py.typed", "README.md", "lash_store/__pycache__/x.pyc"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / ".gitignore").write_text("*.pyc\n", "utf-8")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=root, timeout=60, check=True)
    (root / "lash_store" / "new.py").touch()
    return root


IN_A_WHEEL = [
    "lash_store/__init__.py",
    "lash_store/new.py",
    "lash_store/py.typed",
    *(extension["name"].replace(".", "/") + end for extension in extensions() for end in (".abi3.so", ".pyi")),
]
IN_AN_SDIST = [".gitignore", "README.md", "lash_store/__init__.py", "lash_store/new.py", "lash_store/py.typed"]


def make_wheel(folder: Path, names: list[str], tag: str = "cp311-abi3-linux_x86_64") -> Path:
    wheel = folder / f"lash_store-1-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in [*names, "lash_store-1.dist-info/METADATA"]:
            archive.writestr(name, "")
    return wheel


def make_sdist(folder: Path, names: list[str]) -> Path:
    sdist = folder / "lash_store-1.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in [*names, "PKG-INFO"]:
            archive.addfile(tarfile.TarInfo(f"lash_store-1/{name}"))
    return sdist


def check(checkout: Path, *dists: Path) -> tuple[int, list[str]]:
    command: list[str | Path] = [sys.executable, ROOT / ".ci" / "check_dist.py", checkout, *dists]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, (ended.stdout + ended.stderr).splitlines()


def test_whole_distributions_pass(checkout: Path, tmp_path: Path) -> None:
    windows = [name.replace(".abi3.so", ".pyd") for name in IN_A_WHEEL]
    dists = [
        make_wheel(tmp_path, IN_A_WHEEL),
        make_wheel(tmp_path, windows, "cp311-abi3-win_amd64"),
        make_sdist(tmp_path, IN_AN_SDIST),
    ]
    assert check(checkout, *dists) == (0, [f"{dist.name} holds what it should" for dist in dists])


@pytest.mark.parametrize("name", IN_A_WHEEL)
def test_what_a_wheel_lacks_is_seen(name: str, checkout: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, [other for other in IN_A_WHEEL if other != name])
    assert check(checkout, wheel) == (1, [f"{wheel.name} lacks {name}"])


def test_what_does_not_belong_into_a_wheel_is_seen(checkout: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, [*IN_A_WHEEL, "lash_store.libs/libz.so", "tests/__init__.py"], "cp312-cp312-any")
    faults = [
        "should not hold lash_store.libs/libz.so",
        "should not hold tests/__init__.py",
        "is not tagged cp311-abi3",
    ]
    assert check(checkout, wheel) == (1, [f"{wheel.name} {fault}" for fault in faults])


@pytest.mark.parametrize("name", IN_AN_SDIST)
def test_what_an_sdist_lacks_is_seen(name: str, checkout: Path, tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path, [other for other in IN_AN_SDIST if other != name])
    assert check(checkout, sdist) == (1, [f"{sdist.name} lacks {name}"])


def test_nothing_to_look_into_is_a_fault(checkout: Path) -> None:
    assert check(checkout) == (1, ["Nothing to look into"])
