"""Draw the README's picture from a run of the demo: python tests/picture.py [FILE]

FILE is .github/demo.svg unless given. Lines are cut at WIDTH, and most orders are left out.
"""

import io
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import environment, topology

WIDTH = 120  # characters
FILE = topology.PROJECT / ".github" / "demo.svg"
STYLES = {
    "pipe_producer": "cyan",
    "filter_validate": "yellow",
    "filter_enrich": "magenta",
    "final_consumer": "green",
    "replier": "blue",
    "requestor": "cyan",
}


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

    command = [sys.executable, str(topology.PROJECT / "tests" / "demo.py")]
    demo = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in ["$ python tests/demo.py", *shown(demo.stdout.splitlines())]:
        script = line.split(" ")[0]
        text = Text(line)
        text.stylize(STYLES.get(script, ""), 0, len(script))
        console.print(text, no_wrap=True, overflow="ellipsis")
    path = sys.argv[1] if len(sys.argv) > 1 else str(FILE)
    console.save_svg(path, title="Messaging patterns on Azure Queue Storage")
    print(f"Drawn: {path}")
    return demo.returncode


if __name__ == "__main__":
    environment.run(main)
