"""Draw the README's picture from a run of the demo: python tests/campaigns/picture.py [FILE]

FILE is .github/demo.svg unless given. Lines are cut at WIDTH, and most orders are left out.
"""

import io
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import environment
from support.topology import PROJECT

WIDTH = 120  # characters


def shown(lines):
    """Return the lines of the demo that tell the story: one order, one request, the table."""
    first = next(n for n, line in enumerate(lines) if "Fully processed" in line)
    request = next(n for n, line in enumerate(lines) if "Created reply queue" in line)
    table = next(n for n, line in enumerate(lines) if line.startswith("sent "))
    return lines[: first + 1] + ["..."] + lines[request : table + 6]


def main():
    """Run the demo and draw it; return its exit code."""
    from rich.console import Console
    from rich.text import Text

    demo = subprocess.run(
        [sys.executable, str(PROJECT / "tests" / "demo.py")],
        env=dict(os.environ, FORCE_COLOR="1", TERM="xterm"),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in ["$ python tests/demo.py", *shown(demo.stdout.splitlines())]:
        console.print(Text.from_ansi(line), no_wrap=True, overflow="ellipsis")
    path = sys.argv[1] if len(sys.argv) > 1 else str(PROJECT / ".github" / "demo.svg")
    console.save_svg(path, title="Messaging patterns on Azure Queue Storage")
    print(f"Drawn: {path}")
    return demo.returncode


if __name__ == "__main__":
    environment.run(main)
