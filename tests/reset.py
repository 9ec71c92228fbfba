"""Empty the queues of the scripts, in the account in .env: python tests/reset.py

What is in their queues and in their poison queues is deleted, hidden messages too; so are reply
queues that are left. Stop the scripts first: one that is at work still sends on what it has in hand.
On an account that is not the emulator's, it asks first.
"""

import argparse
import contextlib
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))  # also if PYTHONSAFEPATH is set
from support import environment, queues
from support.topology import INPUTS

QUEUES = [name + end for end in ("", "-poison") for name in INPUTS]
EMULATOR = ("127.0.0.1", "localhost")


def reset(storage):
    """Empty the queues, and say what was in them; exit if the user does not want it."""
    from azure.core.exceptions import ResourceNotFoundError

    there = queues.queue_names(storage)
    replies = [name for name in there if name.startswith("reply-queue-")]
    counts = {name: queues.depth(storage, name) for name in QUEUES if name in there}
    messages = sum(counts.values())
    if not (messages or replies):
        print("All queues are empty.")
        return
    if urlsplit(storage.service.url).hostname not in EMULATOR:
        print(f"Account {storage.service.account_name}: ", end="")
        print(f"{messages} messages and {len(replies)} reply queues will be deleted.")
        print("Delete them? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            sys.exit("Nothing was deleted.")
    for name, count in counts.items():
        storage.service.get_queue_client(name).clear_messages()
        if count:
            print(f"{name}: {count} message{'s' if count > 1 else ''} deleted")
    for name in replies:
        with contextlib.suppress(ResourceNotFoundError):  # its requestor was faster
            storage.service.delete_queue(name)
        print(f"{name}: deleted")


def main():
    """Reset the account in .env; exit with a line if that fails."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError

    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()  # for --help
    try:
        reset(queues.account_in_env())
    except ClientAuthenticationError as error:
        sys.exit(f"Wrong key in .env? {error}".split("\n")[0])
    except AzureError as error:
        sys.exit(f"Storage error: {error}".split("\n")[0])


if __name__ == "__main__":
    environment.run_tool(main)
