"""Builds and runs the plain C loop of ceiling.c, where a compiler and SQLite's header are to be had."""

import ctypes
import shlex
import shutil
import subprocess
import sys
import sysconfig
from array import array
from pathlib import Path

from bench import workload
from bench.jobs import Job, JobResult, WriterCount
from bench.shapes import WaitForStart

_ENTRY = "sqlite3_ceiling_init"
_BUILD_TIMEOUT_S = 60
# More commits a second than SQLite can do anywhere; the buffer's pages are only touched as they fill.
_MOST_COMMITS_A_SECOND = 500_000
_STATEMENTS = (
    workload.BEGIN,
    workload.READ_HEAD,
    workload.INSERT_NODE,
    workload.ADVANCE_HEAD,
    workload.COMMIT,
    "SAVEPOINT member",
    "RELEASE member",
    workload.ROLLBACK,
)


class CeilingUnavailableError(Exception):
    """The C loop cannot be built here; the text says why."""


class _Order(ctypes.Structure):
    _fields_ = (
        ("sql", ctypes.c_char_p * len(_STATEMENTS)),
        ("node_head", ctypes.c_char_p),
        ("node_tail", ctypes.c_char_p),
        ("prefix", ctypes.c_char_p),
        ("seconds", ctypes.c_double),
        ("batch", ctypes.c_int),
        ("capacity", ctypes.c_int),
        ("waits", ctypes.POINTER(ctypes.c_double)),
    )


class _Report(ctypes.Structure):
    _fields_ = (
        ("commits", ctypes.c_int),
        ("late", ctypes.c_int),
        ("failures", ctypes.c_int),
        ("code", ctypes.c_int),
    )


def build(folder: Path) -> Path:
    """Compile the loop into `folder` and return the library's path."""
    if sys.platform == "win32":
        raise CeilingUnavailableError("its clock is POSIX only")
    compiler = _find_compiler()
    library = folder / "ceiling.so"
    source = Path(__file__).with_name("ceiling.c")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)]
    try:
        built = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise CeilingUnavailableError(f"{compiler} did not end within {_BUILD_TIMEOUT_S} s") from None
    if built.returncode != 0:
        complaint = next((line for line in built.stderr.splitlines() if "error" in line), built.stderr.strip())
        raise CeilingUnavailableError(f"{compiler} failed: {complaint}")
    return library


def _find_compiler() -> str:
    configured = shlex.split(str(sysconfig.get_config_var("CC") or ""))
    for name in (*configured[:1], "cc", "gcc", "clang"):
        if found := shutil.which(name):
            return found
    raise CeilingUnavailableError("no C compiler (cc, gcc or clang) on the PATH")


def run_single(job: Job, wait_for_start: WaitForStart) -> JobResult:
    """One COMMIT for each transaction."""
    return _run(job, wait_for_start, batch=0)


def run_batch(job: Job, wait_for_start: WaitForStart) -> JobResult:
    """One COMMIT for 64 transactions, a savepoint each; the waits are those of the whole batches.

    No automatic checkpoint: the group commit it is held against keeps checkpoints out of its commits too, so this is
    the highest mark there is.
    """
    return _run(job, wait_for_start, batch=workload.BATCH)


def _run(job: Job, wait_for_start: WaitForStart, *, batch: int) -> JobResult:
    import apsw  # noqa: PLC0415 - a worker of another driver must not load a second SQLite

    from bench.drivers.apsw_blocking import prepare  # noqa: PLC0415 - likewise

    db = apsw.Connection(job.path)
    try:
        prepare(db, job.durability)
        if batch:
            db.wal_autocheckpoint(0)
        db.enable_load_extension(True)
        db.load_extension(job.extension, _ENTRY)
        db.enable_load_extension(False)
        return _call_loop(job, db.sqlite3_pointer(), batch, wait_for_start)
    finally:
        db.close()


def _call_loop(job: Job, pointer: int, batch: int, wait_for_start: WaitForStart) -> JobResult:
    """Run the loop in C; ctypes lets go of the interpreter's lock meanwhile."""
    loop = ctypes.CDLL(job.extension).bench_loop
    loop.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Order), ctypes.POINTER(_Report))
    loop.restype = ctypes.c_int
    capacity = int(job.seconds * _MOST_COMMITS_A_SECOND) + 1
    waits = (ctypes.c_double * capacity)()
    sql = (ctypes.c_char_p * len(_STATEMENTS))(*(text.encode() for text in _STATEMENTS))
    head, tail, prefix = workload.NODE_HEAD.encode(), workload.NODE_TAIL.encode(), job.prefix.encode()
    order = _Order(sql, head, tail, prefix, job.seconds, batch, capacity, waits)
    report = _Report()
    wait_for_start()
    loop(pointer, ctypes.byref(order), ctypes.byref(report))
    each = batch or 1
    error = f"SQLite result code {report.code}" if report.code else ""
    count = WriterCount(report.commits * each, report.late * each, report.failures + bool(report.code), error)
    return JobResult([count], 0, job.seconds, array("d", waits[: report.commits]))
