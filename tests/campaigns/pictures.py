"""Draw the READMEs' pictures anew: python tests/campaigns/pictures.py

Lines are cut at WIDTH, and most of the demo's orders are left out. The board takes as long as a
visibility timeout.
"""

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for what is imported from there
from demo import COLORS
from suite.helpers import copies
from suite.helpers.orders import order
from suite.helpers.terminals import running_script
from support import emulator, environment, processes, queues
from support.topology import INPUTS, PROJECT

WIDTH = 120  # characters
STYLES = {f"^{script[:-3]}": color for script, color in COLORS.items()}
STYLES.update({"^#.*": "green", "^queue-validate.*": "yellow"})
SLOW = ["def validate(order):\n", "def validate(order):\n    time.sleep(60)\n"]


def demo():
    """Run the demo; return the part of it that tells the story: an order, a request, the table."""
    command = processes.command_line("tests/demo.py")
    text = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    story = r"(.*?Fully processed[^\n]*\n).*?\n([^\n]*Created reply queue.*answered)"
    order, request = re.match(story, text, re.DOTALL).groups()
    return f"$ python tests/demo.py\n{order}...\n{request}"


def board():
    """Stop Filter A while it works on an order; return what the board shows."""
    with emulator.running_azurite() as port, tempfile.TemporaryDirectory() as folder:
        storage = queues.open_account(emulator.connection_string(port))
        for name in INPUTS:
            queues.ensure_queue(storage, name)
        queues.send(storage, INPUTS[0], order(1))
        copies.edited("filter_validate.py", folder, *SLOW)
        with running_script("tests/watch.py", storage.connection, "") as watch:
            waits = look(watch, 1, 0)
            with running_script("filter_validate.py", storage.connection, "Received", folder):
                pass
            return f"""$ python tests/watch.py
# An order waits:
{waits}

# Filter A received it, and was stopped while it worked: it is hidden.
{look(watch, 0, 1)}

# 30 s after it was received, it waits again:
{look(watch, 1, 0)}"""


def look(watch, waiting, hidden):
    """Return the board as soon as the order's queue has these figures."""
    watch.expect(rf"queue +all[^\n]*\nqueue-validate +1 +{waiting} +{hidden} [^:]*:\d\d:\d\d")
    return watch.after


def main():
    """Draw the pictures."""
    from rich.console import Console
    from rich.text import Text

    titles = {demo: "Messaging patterns on Azure Queue Storage", board: "Where is the order?"}
    for picture, title in titles.items():
        lines = picture().splitlines()
        width = min(WIDTH, max(map(len, lines)))
        console = Console(record=True, width=width, file=io.StringIO())
        for line in lines:
            text = Text(line.rstrip())
            for pattern, style in STYLES.items():
                text.highlight_regex(pattern, style)
            console.print(text, no_wrap=True, overflow="ellipsis")
        path = PROJECT / ".github" / f"{picture.__name__}.svg"
        console.save_svg(str(path), title=title)
        print(f"Drawn: {path}")


if __name__ == "__main__":
    environment.run_tool(main, suite=True)
