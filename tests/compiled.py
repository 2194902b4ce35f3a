"""The compiled C module as a file: where it is, what it was built with, which symbols it shows and takes."""

import importlib
import importlib.util
import subprocess
from pathlib import Path

NAME = "lash_store.sqlite.native._native"


def path() -> Path:
    """Return the file of the compiled module, which need not be the implementation in use."""
    spec = importlib.util.find_spec(NAME)
    assert spec is not None, "the C module was not built: is there a C compiler?"
    assert spec.origin is not None
    return Path(spec.origin)


def sanitizers() -> str:
    """Return what the module says it was built with: "address,undefined", or "" for a plain build or none."""
    try:
        module = importlib.import_module(NAME)
    except ImportError:
        return ""
    return str(module.SANITIZERS)


def dynamic_symbols(which: str) -> set[str]:
    """Return the names in the module's dynamic symbol table; `which` is nm's --defined-only or --undefined-only."""
    listed = subprocess.run(["nm", "-D", which, path()], capture_output=True, text=True, timeout=60, check=True)
    return {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
