"""Print the command line that README.md gives under the marker `<!-- command: NAME -->`.

Usage: readme_command.py NAME [README]
"""

import re
import sys
from pathlib import Path


def main(name: str, readme: str) -> int:
    """Print the line; fail unless there is exactly one."""
    fence = re.compile(rf"^<!-- command: {re.escape(name)} -->\n+```sh\n(?P<line>[^\n]+)\n```$", re.MULTILINE)
    lines = [found["line"] for found in fence.finditer(Path(readme).read_text("utf-8"))]
    if len(lines) != 1:
        print(f"{readme}: exactly one command line must stand under '{name}', found {len(lines)}", file=sys.stderr)
        return 1
    print(lines[0])
    return 0


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "README.md"
    sys.exit(main(sys.argv[1], *sys.argv[2:] or [str(default)]))
