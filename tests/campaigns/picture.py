"""Draw the READMEs' pictures anew: python tests/campaigns/picture.py [FILE ...]

A FILE is named demo.svg or board.svg; without one, both of .github are drawn. Lines are cut at
WIDTH, and most of the demo's orders are left out. The board takes as long as a visibility timeout.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import emulator, environment, scripts, topology

WIDTH = 120  # characters
STYLES = {
    r"^(#.*|final_consumer)": "green",
    r"^(queue-validate.*|filter_validate)": "yellow",
    r"^(pipe_producer|requestor)": "cyan",
    r"^filter_enrich": "magenta",
    r"^replier": "blue",
}


def demo():
    """Run the demo; return the lines of it that tell the story: an order, a request, the table."""
    command = scripts.command("tests/demo.py")
    output = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    lines = output.splitlines()
    first = next(n for n, line in enumerate(lines) if "Fully processed" in line)
    request = next(n for n, line in enumerate(lines) if "Created reply queue" in line)
    table = next(n for n, line in enumerate(lines) if line.startswith("sent "))
    return ["$ python tests/demo.py", *lines[: first + 1], "...", *lines[request : table + 6]]


def board():
    """Stop Filter A while it works on an order; return what the board shows, in lines."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        azurite, port = emulator.start(folder)
        stack.callback(emulator.stop, azurite)

        def start(script, folder=topology.PROJECT):
            connection = emulator.connection_string(port)
            process = scripts.start(
                script, connection=connection, folder=folder, stdout=subprocess.PIPE
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        for script in topology.POLLERS[1:]:  # all but Filter A
            start(script).stdout.readline()
        start("pipe_producer.py").wait()
        watch = start("tests/watch.py")
        lines = ["$ python tests/watch.py", "# An order waits:", *look(watch, 1, 0)]
        slow = ("def validate(order):\n", "def validate(order):\n    time.sleep(60)\n")
        filter_a = start("filter_validate.py", scripts.edited("filter_validate.py", folder, *slow))
        while "Received" not in filter_a.stdout.readline():
            pass
        filter_a.kill()
        lines += ["", "# Filter A received it, and was stopped while it worked: it is hidden."]
        lines += [*look(watch, 0, 1), "", "# 30 s after it was received, it waits again:"]
        return [*lines, *look(watch, 1, 0)]


def look(watch, waiting, hidden):
    """Return the board's lines as soon as the order's queue has these figures."""
    lines = []
    for line in watch.stdout:
        lines.append(line.rstrip())
        if ":" in line:  # the clock, the last line of a look
            if any(
                row.split()[:4] == f"queue-validate 1 {waiting} {hidden}".split() for row in lines
            ):
                return lines
            lines = []
    sys.exit("The board has ended.")


PICTURES = {
    "demo.svg": (demo, "Messaging patterns on Azure Queue Storage"),
    "board.svg": (board, "Where is the order?"),
}


def main():
    """Draw the pictures; return the exit code."""
    from rich.console import Console
    from rich.text import Text

    for path in sys.argv[1:] or [topology.PROJECT / ".github" / name for name in PICTURES]:
        picture, title = PICTURES[Path(path).name]
        lines = picture()
        width = min(WIDTH, max(map(len, lines)))
        console = Console(record=True, width=width, file=io.StringIO())
        for line in lines:
            text = Text(line)
            for pattern, style in STYLES.items():
                text.highlight_regex(pattern, style)
            console.print(text, no_wrap=True, overflow="ellipsis")
        console.save_svg(str(path), title=title)
        print(f"Drawn: {path}")
    return 0


if __name__ == "__main__":
    environment.run(main)
