"""See that the wheel and the sdist hold what they should.

Usage: check_dist.py DIST CHECKOUT
"""

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

EXTENSIONS = ("lash_store/codecs/_intarrays", "lash_store/records/_encoder", "lash_store/sqlite/native/_native")


def the_only(folder: Path, pattern: str) -> Path:
    """Return the one file of `folder` that fits."""
    (found,) = folder.glob(pattern)
    return found


def wheel_faults(wheel: Path, checkout: Path) -> list[str]:
    """Return what is wrong with the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(checkout).as_posix() for path in (checkout / "lash_store").rglob("*.py")}
    wanted |= {"lash_store/py.typed"} | {f"{name}{end}" for name in EXTENSIONS for end in (".pyi", ".abi3.so")}
    faults = [f"lacks {name}" for name in sorted(wanted - names)]
    package = {name for name in names if ".dist-info/" not in name}
    faults += [f"should not hold {name}" for name in sorted(package - wanted)]
    if "-cp311-abi3-" not in wheel.name:
        faults.append("is not tagged cp311-abi3")
    return faults


def sdist_faults(sdist: Path, checkout: Path) -> list[str]:
    """Return what is wrong with the sdist: all that is under version control must be in it."""
    with tarfile.open(sdist) as archive:
        names = {PurePosixPath(*PurePosixPath(member.name).parts[1:]) for member in archive if member.isfile()}
    wanted = {PurePosixPath(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()}
    wanted = {path for path in wanted if path.name != ".gitignore" and not path.parts[0].endswith(".egg-info")}
    return [f"lacks {path}" for path in sorted(wanted - names)]


def main(dist: Path, checkout: Path) -> int:
    """Report every fault."""
    wheel, sdist = the_only(dist, "*.whl"), the_only(dist, "*.tar.gz")
    faults = [f"{wheel.name} {fault}" for fault in wheel_faults(wheel, checkout)]
    faults += [f"{sdist.name} {fault}" for fault in sdist_faults(sdist, checkout)]
    print(*(faults or [f"{wheel.name} and {sdist.name} hold what they should"]), sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
