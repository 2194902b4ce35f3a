"""What the command lines of the benchmarks have in common."""

import argparse
from pathlib import Path


def make_parser(module: str, description: str, quick: str) -> argparse.ArgumentParser:
    """A parser that knows --quick (`quick` says what that is), --repeat and --json."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--repeat", type=whole_number, default=1, help="rounds; figures are medians of them (default: 1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    return parser


def whole_number(text: str) -> int:
    """A number above 0; for argparse."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
