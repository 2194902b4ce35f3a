"""Reads the imports, lengths and ranks of a package out of its source; the tests of layers say what must hold."""

import ast
import graphlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 40

# A rank is (number in the architecture's table, place within it): 7a is (7, 0), 7b is (7, 1).
Rank = tuple[int, int]

# An entry holds for the module and, unless a longer one fits, for all modules under it. Modules under one entry are one
# room: they may import each other, but not in a circle.
RANKS: Mapping[str, Rank] = {
    "errors": (0, 0),
    "clock": (0, 0),
    "native_choice": (0, 0),
    "records": (1, 0),
    "codecs": (2, 0),
    "rules": (3, 0),
    "protocols": (3, 0),
    "sqlite.native": (4, 0),
    "sqlite.forks": (4, 0),
    "sqlite.schema": (4, 0),
    "sqlite.connection": (5, 0),
    "sqlite.plan": (6, 0),
    "sqlite.transaction": (6, 1),
    "sqlite.closures": (6, 2),
    "sqlite.readers": (7, 0),
    "sqlite.writer": (7, 0),
    "sqlite.removal": (7, 0),
    "sqlite.changes": (7, 0),
    "sqlite.database": (7, 1),
    "sqlite.ops": (8, 0),
    "sqlite.delivery": (9, 0),
    "sqlite.async_connection": (9, 1),
    "sqlite.watch": (9, 2),
    "sqlite.store_handle": (9, 2),
    "sqlite.waiting": (9, 3),
    "sqlite.session_store": (9, 4),
    "sqlite.process_registry": (9, 4),
    "sqlite.effect_host": (9, 4),
    "sqlite.host_event_store": (9, 4),
    "sqlite.session_factory": (10, 0),
    "cli": (11, 1),
    "integrations": (11, 1),
}
PACKAGE_RANK: Rank = (11, 0)
# Folders that only hold others: their __init__ imports nothing, so anyone may name them.
FOLDERS = frozenset({"sqlite"})
# Ranks that may not use everything below them (the table's third column).
MAY_IMPORT: Mapping[int, frozenset[int]] = {4: frozenset({0, 4}), 5: frozenset({0, 4, 5})}
# Foreign modules that have their place: the numbers of the ranks that may import them.
PLACES: Mapping[str, frozenset[int]] = {
    "asyncio": frozenset({9, 10, 11}),
    "apsw": frozenset({4, 5, 6, 7}),
    "sqlite3": frozenset(),  # two SQLite libraries on one file break its POSIX locks
}


@dataclass(frozen=True)
class Import:
    """One imported module."""

    target: str
    line: int
    typing_only: bool


def violations(package: Path) -> list[str]:
    """Return every breach of the layering in `package`, one line each."""
    files = dict(sorted(_modules(package)))
    imports = {name: _imports(path, package.name, name, files) for name, path in files.items()}
    breaches = [breach for name, found in imports.items() for breach in _breaches(package.name, name, found)]
    return breaches + _circles(package.name, imports)


def imports_of(package: Path, other: str) -> list[str]:
    """Return every import of `other`, a package or a module, in `package`, one line each."""
    files = dict(_modules(package))
    return [
        f"{_dotted(package.name, name)}:{found.line}: imports {found.target}"
        for name, path in sorted(files.items())
        for found in _imports(path, package.name, name, files)
        if found.target == other or found.target.startswith(f"{other}.")
    ]


def circles(package: Path) -> list[str]:
    """Return a circle of imports in a package without ranks, if there is one."""
    files = dict(_modules(package))
    return _circles(package.name, {name: _imports(path, package.name, name, files) for name, path in files.items()})


def long_files(package: Path, limit: int = MAX_FILE_LINES) -> list[str]:
    """Return the Python and C files of `package` with more lines than `limit`."""
    files = _files(package, "*.py", "*.pyi", "*.c", "*.h")
    counts = {path: len(path.read_text("utf-8").splitlines()) for path in files}
    return [f"{path.relative_to(package.parent)}: {count} lines" for path, count in counts.items() if count > limit]


def long_functions(package: Path, limit: int = MAX_FUNCTION_LINES) -> list[str]:
    """Return the Python functions of `package` with more lines than `limit`, docstring and decorators not counted."""
    return [
        f"{path.relative_to(package.parent)}:{node.lineno}: {node.name} has {lines} lines"
        for path in _files(package, "*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := _function_lines(node)) > limit
    ]


def _files(package: Path, *patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in package.rglob(pattern))


def _function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def _modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Yield the dotted name below the package ("" for the package itself) and the file of each module."""
    for path in _files(package, "*.py", "*.pyi"):
        parts = path.relative_to(package).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _dotted(package: str, module: str) -> str:
    return f"{package}.{module}" if module else package


def _room(module: str) -> str | None:
    """Return the entry of RANKS that holds for a module."""
    name = module
    while name not in RANKS and "." in name:
        name = name.rpartition(".")[0]
    return name if name in RANKS else None


def _rank(module: str) -> Rank | None:
    if module == "":
        return PACKAGE_RANK
    if module in FOLDERS:
        return (0, 0)
    room = _room(module)
    return None if room is None else RANKS[room]


def _breaches(package: str, module: str, imports: list[Import]) -> Iterator[str]:
    here = _dotted(package, module)
    rank = _rank(module)
    if rank is None:
        yield f"{here}: has no rank; give it one in tests/layering.py"
        return
    for found in imports:
        if module in FOLDERS:
            yield f"{here}:{found.line}: only holds other modules, yet imports {found.target}"
        elif (target := _below(package, found.target)) is None:
            yield from _foreign(here, rank, found)
        elif target not in FOLDERS and (_room(target) is None or _room(target) != _room(module)):
            yield from _internal(here, rank, found, _rank(target))


def _below(package: str, target: str) -> str | None:
    """Return a module's name below the package, or None for a module from elsewhere."""
    if target == package:
        return ""
    return target.removeprefix(f"{package}.") if target.startswith(f"{package}.") else None


def _internal(here: str, rank: Rank, found: Import, target: Rank | None) -> Iterator[str]:
    if target is None:
        yield f"{here}:{found.line}: imports {found.target}, which has no rank"
    elif target >= rank:
        yield f"{here}:{found.line}: rank {_label(rank)} imports {found.target} of rank {_label(target)}"
    elif target[0] not in MAY_IMPORT.get(rank[0], {target[0]}):
        yield f"{here}:{found.line}: rank {_label(rank)} may not use {found.target} of rank {_label(target)}"


def _foreign(here: str, rank: Rank, found: Import) -> Iterator[str]:
    """Judge a module from elsewhere; what only the type checker imports, for a signature, may stand anywhere."""
    top = found.target.partition(".")[0]
    if top in PLACES and rank[0] not in PLACES[top] and not found.typing_only:
        yield f"{here}:{found.line}: {top} has no place in rank {_label(rank)}"


def _circles(package: str, imports: Mapping[str, list[Import]]) -> list[str]:
    """Return the first circle of imports within a room, if there is one; between rooms the ranks forbid them."""
    edges: dict[str, set[str]] = {}
    for module, found in imports.items():
        targets = {_below(package, one.target) for one in found} - {None}
        edges[module] = {target for target in targets if target and _room(target) == _room(module)}
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        members = ", ".join(sorted({f"{package}.{name}" for name in error.args[1]}))
        return [f"{package}: imports go round: {members}"]
    return []


def _label(rank: Rank) -> str:
    divided = {number for number, place in RANKS.values() if place}
    return f"{rank[0]}{'abcde'[rank[1]]}" if rank[0] in divided else str(rank[0])


def _imports(path: Path, package: str, module: str, files: Mapping[str, Path]) -> list[Import]:
    """Return what a module imports anywhere in it, functions and type-checking blocks included."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = _typing_only(tree)
    parent = _dotted(package, module)
    if path.stem != "__init__":
        parent = parent.rpartition(".")[0]
    return [
        Import(target, getattr(node, "lineno", 0), node in typing_only)
        for node in ast.walk(tree)
        for target in _targets(node, parent, package, files)
    ]


def _targets(node: ast.AST, parent: str, package: str, files: Mapping[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = parent.split(".")[: len(parent.split(".")) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        # `from package.folder import name` names a module when there is one of that name, else the folder.
        names = [f"{base}.{alias.name}" for alias in node.names]
        return [name if name.removeprefix(f"{package}.") in files else base for name in names]
    if isinstance(node, ast.Call) and _is_dynamic_import(node.func):
        known = node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
        return [node.args[0].value if known else f"{package}.<computed name>"]  # type: ignore[attr-defined]
    return []


def _is_dynamic_import(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr == "import_module"
    return isinstance(function, ast.Name) and function.id in {"__import__", "import_module"}


def _typing_only(tree: ast.Module) -> set[ast.AST]:
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and _names_type_checking(node.test)]
    return {child for block in blocks for statement in block.body for child in ast.walk(statement)}


def _names_type_checking(test: ast.expr) -> bool:
    if isinstance(test, ast.Attribute):
        return test.attr == "TYPE_CHECKING"
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
