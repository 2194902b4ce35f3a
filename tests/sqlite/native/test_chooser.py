"""Which executor runs, how that is asked for, and what is said where the better one is not to be had."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from lash_store.sqlite import native
from tests import compiled

CONSTANTS = ("DONE", "GUARD", "FAILED", "BUSY", "INVALID", "CLOSED")
SAY = "from lash_store.sqlite import native; print(native.IMPLEMENTATION)"
# A finder that knows of no C module, as where none was built.
HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.endswith("native._native"):
            raise ImportError("no C module here")
sys.meta_path.insert(0, Hidden())
"""


def python(code: str, choice: str | None, *options: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "LASH_STORE_NATIVE"}
    if choice is not None:
        environment["LASH_STORE_NATIVE"] = choice
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("choice", "chosen"), [("c", "c"), ("python", "python"), (None, "c"), ("", "c")])
def test_the_variable_chooses_and_nothing_is_said(choice: str | None, chosen: str) -> None:
    ended = python(SAY, choice)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{chosen}\n", "")


@pytest.mark.parametrize("choice", ["nonsense", "C", "Python", "c "])
def test_another_choice_is_refused_with_the_good_ones(choice: str) -> None:
    ended = python(SAY, choice)
    assert ended.returncode != 0
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: LASH_STORE_NATIVE is {choice!r}")
    assert "'c'" in last
    assert "'python'" in last


def test_without_the_c_module_one_warning_says_what_it_costs() -> None:
    count = f"""
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    {SAY}
    import lash_store
    with lash_store.Database.open_in_memory() as database:
        print(database.stats().implementation)
for warning in caught:
    print(warning.category.__name__, warning.message)
"""
    ended = python(HIDE + count, None)
    assert ended.returncode == 0, ended.stderr
    first, second, *warnings = ended.stdout.splitlines()
    assert (first, second, len(warnings)) == ("python", "python", 1)
    for said in ("RuntimeWarning", "no C module here", "write lock", "slow", "LASH_STORE_NATIVE=python"):
        assert said in warnings[0]


def test_the_warning_points_at_whoever_imports() -> None:
    ended = python(HIDE + "import lash_store", None, "-W", "error::RuntimeWarning")
    assert ended.returncode != 0
    assert ended.stderr.splitlines()[-1].startswith("RuntimeWarning: lash_store runs without its C module")


def test_python_asked_for_needs_no_c_module_and_warns_of_nothing() -> None:
    ended = python(HIDE + SAY, "python")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "python\n", "")


def test_c_asked_for_and_missing_is_an_error() -> None:
    ended = python(HIDE + SAY, "c")
    assert ended.returncode != 0
    assert "ImportError: LASH_STORE_NATIVE=c, but the C module cannot be used: no C module here" in ended.stderr


def test_the_c_module_is_attached_to_the_very_sqlite_that_apsw_uses() -> None:
    code = """
import apsw
from lash_store.sqlite import native
from lash_store.sqlite.native import _native
print(_native.libversion() == apsw.sqlite_lib_version(), _native.IMPLEMENTATION, native.VFS in apsw.vfs_names())
"""
    ended = python(code, "c")
    assert (ended.stdout, ended.stderr) == ("True c True\n", "")


def test_a_module_attached_to_another_sqlite_is_refused() -> None:
    code = f"import apsw; apsw.sqlite_lib_version = lambda: '3.99.0'\n{SAY}"
    ended = python(code, "c")
    assert ended.returncode != 0
    assert "uses 3.99.0" in ended.stderr


# Keeps an account of who may load extensions; the connection that the module comes in by is closed and gone.
ACCOUNT = """
import apsw
calls = []
class Watched(apsw.Connection):
    def enable_load_extension(self, enable):
        calls.append(enable)
        super().enable_load_extension(enable)
    def load_extension(self, *arguments):
        calls.append("load")
        BROKEN
        super().load_extension(*arguments)
    def close(self, *arguments):
        calls.append("close")
        super().close(*arguments)
apsw.Connection = Watched
try:
    from lash_store.sqlite import native
except ImportError:
    calls.append("refused")
print(calls)
"""


def test_loading_extensions_is_on_for_one_moment() -> None:
    assert python(ACCOUNT.replace("BROKEN", ""), "c").stdout == "[True, 'load', False, 'close']\n"
    failing = ACCOUNT.replace("BROKEN", "raise apsw.ExtensionLoadingError('broken')")
    assert python(failing, "c").stdout == "[True, 'load', False, 'close', 'refused']\n"


def test_loading_extensions_is_off_afterwards() -> None:
    importlib.import_module("lash_store")
    connection = apsw.Connection(":memory:")
    try:
        with pytest.raises(apsw.ExtensionLoadingError, match="not authorized"):
            connection.load_extension(str(compiled.path()))
        with pytest.raises(apsw.SQLError, match="not authorized"):
            connection.execute("SELECT load_extension(?)", (str(compiled.path()),)).fetchall()
    finally:
        connection.close()


def test_loading_extensions_is_off_on_every_connection_of_a_handle(tmp_path: Path) -> None:
    database_code = f"""
import apsw
from lash_store import Database, StoreError
def load(connection):
    connection.execute("SELECT load_extension(?)", ({str(compiled.path())!r},)).fetchall()
with Database.open({str(tmp_path / "x.db")!r}) as database:
    for attempt in (
        lambda: database.call(load),
        lambda: database.read(load),
        lambda: database.write(lambda tx: tx.execute("SELECT load_extension('x')")),
    ):
        try:
            attempt()
        except StoreError as error:
            print("not authorized" in str(error))
"""
    ended = python(database_code, native.IMPLEMENTATION)
    assert (ended.stdout, ended.stderr) == ("True\nTrue\nTrue\n", "")


def test_both_implementations_show_the_same_names_and_constants() -> None:
    c = importlib.import_module("lash_store.sqlite.native._native")
    twin = importlib.import_module("lash_store.sqlite.native.pure")
    assert [getattr(c, name) for name in CONSTANTS] == [getattr(twin, name) for name in CONSTANTS] == list(range(6))
    for kind in ("Executor", "Mailbox", "Ticket"):
        of_c = {name for name in vars(getattr(c, kind)) if not name.startswith("_")}
        of_twin = {name for name in dir(getattr(twin, kind)) if not name.startswith("_")}
        assert of_c <= of_twin, f"the Python {kind} lacks {of_c - of_twin}"
    assert native.IMPLEMENTATION in {"c", "python"}
