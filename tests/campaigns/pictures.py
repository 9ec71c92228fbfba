"""Draw the READMEs' pictures anew: python tests/campaigns/pictures.py

Long lines are cut, and most of the demo's orders are left out.
"""

import io
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for what is imported from there
from demo import COLORS
from suite.helpers.orders import order
from suite.helpers.terminals import running_script
from support import emulator, environment, processes, queues
from support.topology import INPUTS, PROJECT

STYLES = {"#.*": "green", "queue-validate.*": "yellow"}
STYLES.update({script[:-3]: color for script, color in COLORS.items()})


def demo():
    """Run the demo; return the part of it that tells the story: an order, a request, the table."""
    command = processes.command_line("tests/demo.py")
    text = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    story = r"(.*?Fully processed[^\n]*\n).*?\n([^\n]*Created reply queue.*answered)"
    return "$ python tests/demo.py\n" + "...\n".join(re.match(story, text, re.DOTALL).groups())


def board():
    """Receive an order as Filter A does, without deleting it; return what the board shows, and when."""
    shown = "$ python tests/watch.py"
    moments = [
        (1, 0, "\n# An order waits:"),
        (0, 1, "\n\n# Filter A received it, and was stopped while it worked: it is hidden."),
        (1, 0, "\n\n# 30 s after it was received, it waits again:"),
    ]
    with emulator.running_azurite() as port:
        storage = queues.open_account(emulator.connection_string(port))
        first, *_ = [queues.ensure_queue(storage, name) for name in INPUTS]
        first.send_message(order(1))
        with running_script("tests/watch.py", storage.connection, "") as watch:
            for waiting, hidden, title in moments:
                if hidden:
                    first.receive_message(visibility_timeout=30)
                row = rf"queue-validate +1 +{waiting} +{hidden} "
                watch.expect(rf"queue +all[^\n]*\n{row}[^:]*:\d\d:\d\d")
                shown += f"{title}\n{watch.after}"
    return shown


def main():
    """Draw the pictures."""
    from rich.console import Console
    from rich.text import Text

    titles = {demo: "Messaging patterns on Azure Queue Storage", board: "Where is the order?"}
    for picture, title in titles.items():
        text = Text(re.sub(r"(?m)[ \r]+$", "", picture()))
        for start, style in STYLES.items():
            text.highlight_regex(f"(?m)^{start}", style)
        width = min(120, max(map(len, text.plain.splitlines())))
        console = Console(record=True, width=width, file=io.StringIO())
        console.print(text, no_wrap=True, overflow="ellipsis")
        path = PROJECT / ".github" / f"{picture.__name__}.svg"
        console.save_svg(str(path), title=title)
        print(f"Drawn: {path}")


if __name__ == "__main__":
    environment.run_tool(main, suite=True)
