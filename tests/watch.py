"""See what is in the queues, again and again until Ctrl+C: python tests/watch.py

It looks into the account in .env (the emulator or Azure) and changes nothing. No message's contents
are shown. What a column can tell, and what not:

all       messages in the queue, as the storage counts them; expired ones are in it for a while
waiting   what a script would receive now; a look sees 32 at most, so "32+" may be any number
hidden    the others: received by a script and not deleted yet, or expired; "?" if waiting is "32+"
dequeues  how often the most received of the waiting messages was received (its dequeue count): 0 if
          none was; after 5, a script moves it to the poison queue; a hidden one cannot be seen
oldest    age of the oldest waiting message that was seen, too
change/s  of "all", over the last 5 looks; if as many come as go, it is 0
<- grows  over the last 5 looks, at least one message more per look

In a narrow window, columns on the right are left out; in a low one, empty queues.

A look costs 1 call for the list of queues, 1 for the count of each, and 1 more for each that is not
empty: 23 at most. Other queues of the account are left out.
"""

import argparse
import collections
import contextlib
import datetime
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # also if PYTHONSAFEPATH is set
from support import environment, queues
from support.topology import INPUTS

PEEK = 32  # messages, the most that a look can see
REPLY_QUEUES = 3  # on the board at most; each requestor that waits has one
WINDOW = 5  # looks
COLUMNS = ["all", "waiting", "hidden", "dequeues", "oldest", "change/s"]
FIGURES = ["name", *COLUMNS[:-1], "note"]
Figures = collections.namedtuple("Figures", FIGURES, defaults=[None] * 5 + [""])


def look(service):
    """Return the Figures of each queue on the board, in its order."""
    there = [queue.name for queue in service.list_queues()]
    replies = [name for name in there if name.startswith("reply-queue-")]
    shown = [figures(service, name) for name in INPUTS + replies[:REPLY_QUEUES]]
    if len(replies) > REPLY_QUEUES:
        shown.append(Figures(f"{len(replies) - REPLY_QUEUES} more reply queues"))
    poison = [figures(service, f"{name}-poison") for name in INPUTS if f"{name}-poison" in there]
    return shown + [queue for queue in poison if queue.all]


def figures(service, name):
    """Return the Figures of one queue."""
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

    queue = service.get_queue_client(name)
    try:
        # The count comes first: what is received before the peek then shows as hidden, which it is.
        count = queue.get_queue_properties().approximate_message_count
        messages = queue.peek_messages(max_messages=PEEK) if count else []
    except (ResourceNotFoundError, ResourceExistsError):  # the latter while Azure deletes it
        return Figures(name, note="not there")
    waiting = len(messages)
    dequeues = max((message.dequeue_count for message in messages), default=None)
    oldest = age(min(message.inserted_on for message in messages)) if messages else None
    if waiting == PEEK < count:
        return Figures(name, count, f"{PEEK}+", "?", dequeues, oldest)
    return Figures(name, max(count, waiting), waiting, max(count - waiting, 0), dequeues, oldest)


def age(moment):
    """Return how long ago the moment (a datetime with zone) was, as a short text."""
    seconds = max((now() - moment).total_seconds(), 0)  # the storage's clock may be ahead
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds // 1:.0f} s"


def now():
    """Return the time in UTC: its differences are right also when a clock changes to summer time."""
    return datetime.datetime.now(datetime.timezone.utc)


def draw(looks, trouble, console):
    """Return the board for this console of rich: the last look, and what changed since the first.

    looks: pairs of a time and the Figures then. trouble: why there is no newer look, or None.
    """
    from rich.console import Group
    from rich.styled import Styled
    from rich.table import Table
    from rich.text import Text

    (began, first), (ended, last) = looks[0], looks[-1]
    seconds = (ended - began).total_seconds()
    before = {queue.name: queue.all or 0 for queue in first}
    columns = COLUMNS[: max((console.width - 27) // 8, 1)]  # beside a name and "<- grows"
    clock = f"{ended.astimezone():%H:%M:%S}"
    below = Text(f"No figures since {clock}: {trouble}" if trouble else clock)
    room = max(console.height - 1 - len(below.wrap(console, console.width)), 0)
    if len(last) > room:
        last = [queue for queue in last if queue.all][:room]
    table = Table("queue", box=None, padding=(0, 1, 0, 0))
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for queue in last:
        name = queue.name if len(queue.name) < 22 else queue.name[:18] + "..."
        change = (queue.all or 0) - before.get(queue.name, 0)
        rate = f"{change / seconds:+.1f}" if seconds and queue.all is not None else None
        cells = ["-" if cell is None else str(cell) for cell in [*queue[1:-1], rate]]
        grows = len(looks) > WINDOW and change >= WINDOW
        note, style = ("<- grows", "bold") if grows else (queue.note, "")
        table.add_row(name, *cells[: len(columns)], note, style=style)
    return Group(Styled(table, "dim" if trouble else ""), below)


def watch(service, options, console, show):
    """Look, and show the board; exit if the storage refuses the key, or if it is the only look."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError

    looks, nothing = collections.deque(maxlen=WINDOW + 1), (now(), [])
    while True:
        trouble = None
        try:
            looks.append((now(), look(service)))
        except ClientAuthenticationError as error:
            sys.exit(f"Wrong key in .env? {error}".split("\n")[0])
        except AzureError as error:
            trouble = str(error).split("\n")[0]
            if options.once:
                sys.exit(trouble)
        show(draw(looks or [nothing], trouble, console))
        if options.once:
            return
        time.sleep(options.interval)


def main():
    """Show the board until Ctrl+C."""
    from rich.console import Console
    from rich.live import Live

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="look once")
    parser.add_argument("--interval", type=float, default=1, metavar="SECONDS", help="default: 1")
    options = parser.parse_args()
    service = queues.account_in_env().service
    console = Console(highlight=False)
    with contextlib.suppress(KeyboardInterrupt):
        # rich takes a file for a terminal if FORCE_COLOR is set.
        if options.once or not (sys.stdout.isatty() and console.is_interactive):
            watch(service, options, console, console.print)
        else:
            with Live(console=console, auto_refresh=False) as live:
                watch(service, options, console, lambda board: live.update(board, refresh=True))


if __name__ == "__main__":
    environment.run_tool(main)
