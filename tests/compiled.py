"""The compiled C modules as files: where they are, what they were built with, which symbols they show and take.

And Python in a process of its own, where another implementation may be asked for.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from lash_store import native_choice

EXECUTOR: Final = "lash_store.sqlite.native._native"
INTARRAYS: Final = "lash_store.codecs._intarrays"
ENCODER: Final = "lash_store.records._encoder"
CHOOSERS: Final = {
    EXECUTOR: "lash_store.sqlite.native",
    INTARRAYS: "lash_store.codecs.intarrays",
    ENCODER: "lash_store.records.encoder",
}
"""The C modules, and who brings each of them in or does without."""
SANITIZED: Final = os.environ.get("LASH_STORE_EXPECT_SANITIZERS") == "1"
"""Whether this is the sanitizer leg."""

in_c_on_linux: Final = pytest.mark.skipif(
    native_choice.CHOICE == "python" or sys.platform != "linux", reason="drives the C module, with Linux's means"
)


def path(module: str = EXECUTOR) -> Path:
    """Return the file of a compiled module, which need not be the implementation in use."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module} was not built: is there a C compiler?"
    assert spec.origin is not None
    return Path(spec.origin)


def sanitizers(module: str = EXECUTOR) -> str:
    """Return what a module says it was built with: "address,undefined", or "" for a plain build or none."""
    try:
        return str(importlib.import_module(module).SANITIZERS)
    except ImportError:
        return ""


def dynamic_symbols(which: str, module: str) -> set[str]:
    """Return the names in a module's dynamic symbol table; `which` is nm's --defined-only or --undefined-only."""
    listed = subprocess.run(["nm", "-D", which, path(module)], capture_output=True, text=True, timeout=60, check=True)
    return {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}


def loaded_again(module: Any) -> Any:
    """Return a second module out of the file of `module`, as another interpreter would get it."""
    other = module.__spec__.loader.create_module(module.__spec__)
    module.__spec__.loader.exec_module(other)
    assert other is not module
    return other


def python(code: str, choice: str | None, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run `code` in a new interpreter where LASH_STORE_NATIVE is `choice`, or not set."""
    environment = {name: value for name, value in os.environ.items() if name != native_choice.VARIABLE}
    if choice is not None:
        environment[native_choice.VARIABLE] = choice
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
