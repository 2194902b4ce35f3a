"""See that wheels and sdists hold what the checkout holds.

Usage: check_dist.py CHECKOUT FILE...
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

EXTENSIONS = ("lash_store/codecs/_intarrays", "lash_store/records/_encoder", "lash_store/sqlite/native/_native")


def checked_in(checkout: Path) -> set[str]:
    """Return the files that are under version control or could be put there, and exist."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=checkout, capture_output=True, text=True, encoding="utf-8", check=True)
    return {name for name in listed.stdout.split("\0") if name and (checkout / name).is_file()}


def wheel_faults(wheel: Path, files: set[str]) -> list[str]:
    """Return what is wrong with a wheel: it holds the package's Python, and the C modules in place of their sources."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    compiled = ".pyd" if "-win" in wheel.name else ".abi3.so"
    wanted = {name for name in files if name.startswith("lash_store/") and name.endswith((".py", ".pyi", "py.typed"))}
    wanted |= {f"{name}{end}" for name in EXTENSIONS for end in (".pyi", compiled)}
    faults = [f"lacks {name}" for name in sorted(wanted - names)]
    package = {name for name in names if ".dist-info/" not in name}
    faults += [f"should not hold {name}" for name in sorted(package - wanted)]
    if "-cp311-abi3-" not in wheel.name:
        faults.append("is not tagged cp311-abi3")
    return faults


def sdist_faults(sdist: Path, files: set[str]) -> list[str]:
    """Return what is wrong with an sdist: all that is under version control must be in it."""
    with tarfile.open(sdist) as archive:
        names = {str(PurePosixPath(*PurePosixPath(member.name).parts[1:])) for member in archive if member.isfile()}
    return [f"lacks {name}" for name in sorted(files - names)]


def main(checkout: Path, dists: list[Path]) -> int:
    """Report every fault."""
    files = checked_in(checkout)
    faults = []
    for dist in dists:
        found = (wheel_faults if dist.suffix == ".whl" else sdist_faults)(dist, files)
        faults += found
        print(*([f"{dist.name} {fault}" for fault in found] or [f"{dist.name} holds what it should"]), sep="\n")
    if not dists:
        print("Nothing to look into", file=sys.stderr)
    return int(bool(faults) or not dists)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
