"""One variable chooses for all three C modules, and one warning says that one of them, or all, are missing."""

import pytest

from tests import compiled

each_module = pytest.mark.parametrize("module", compiled.CHOOSERS)
SAY_ALL = f"""
import importlib
print(*(importlib.import_module(name).IMPLEMENTATION for name in {list(compiled.CHOOSERS.values())}))
"""


def hide(*modules: str) -> str:
    """Return code after which some C modules cannot be found, as where they could not be built."""
    return f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {modules}:
            raise ImportError(f"there is no {{name}}")
sys.meta_path.insert(0, Hidden())
"""


def said(reason: str) -> str:
    """Return the one wording of the warning."""
    return (
        f"RuntimeWarning lash_store runs without its C module ({reason}): Python does the same work, slower; if it is "
        "the executor that is missing, the write lock is held while Python waits for its turn, so a busy thread slows "
        "every writer of the file, often a hundredfold; install a wheel or a C compiler, or set "
        "LASH_STORE_NATIVE=python to accept it"
    )


WATCHED = f"""
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import lash_store
    {SAY_ALL.strip().replace(chr(10), chr(10) + "    ")}
for warning in caught:
    print(warning.category.__name__, warning.message)
"""


@pytest.mark.parametrize(("choice", "chosen"), [(None, "c"), ("", "c"), ("c", "c"), ("python", "python")])
@each_module
def test_the_variable_chooses_and_nothing_is_said(module: str, choice: str | None, chosen: str) -> None:
    say = f"import {compiled.CHOOSERS[module]} as chooser; print(chooser.IMPLEMENTATION)"
    ended = compiled.python(say, choice, "-W", "error")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{chosen}\n", "")


@each_module
def test_another_choice_is_refused_with_the_good_ones(module: str) -> None:
    ended = compiled.python(f"import {compiled.CHOOSERS[module]}", "rust")
    last = "ImportError: LASH_STORE_NATIVE is 'rust'; set it to 'c' or 'python', or not at all"
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, last)


@each_module
def test_one_that_is_missing_is_told(module: str) -> None:
    ended = compiled.python(hide(module) + WATCHED, None)
    assert ended.returncode == 0, ended.stderr
    found, *warnings = ended.stdout.splitlines()
    assert found.split() == ["python" if other == module else "c" for other in compiled.CHOOSERS]
    assert warnings == [said(f"there is no {module}")]


def test_all_that_are_missing_are_told_in_one_warning() -> None:
    ended = compiled.python(hide(*compiled.CHOOSERS) + WATCHED, "")
    assert ended.returncode == 0, ended.stderr
    found, *warnings = ended.stdout.splitlines()
    assert found == "python python python"
    assert warnings in [[said(f"there is no {module}")] for module in compiled.CHOOSERS]


@each_module
def test_c_asked_for_and_missing_is_an_error(module: str) -> None:
    ended = compiled.python(hide(module) + SAY_ALL, "c")
    last = f"ImportError: LASH_STORE_NATIVE=c, but the C module cannot be used: there is no {module}"
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, last)


def test_python_asked_for_needs_no_c_module_and_warns_of_nothing() -> None:
    ended = compiled.python(hide(*compiled.CHOOSERS) + SAY_ALL, "python", "-W", "error")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "python python python\n", "")
