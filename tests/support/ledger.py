"""What became of each order that was sent: it arrived, was rejected, was put aside, or is lost."""

import json
import re

from support.queues import depth, queues, take
from support.topology import POLLERS, QUEUES


def said(text, start):
    """Return the rest of each line of the text that begins so."""
    return re.findall(f"^{re.escape(start)}(.*)", text, re.MULTILINE)


def order_ids(texts):
    """Return the orders' IDs, in order; for what holds none the text itself."""
    ids = []
    for text in texts:
        try:
            ids.append(json.loads(text)["order_id"])
        except (ValueError, TypeError, KeyError):
            ids.append(text)
    return ids


def empty(storage):
    """Return whether no script has anything left to receive, not even what is invisible now.

    What moves on while this looks is seen, for it looks at the queues in the order of the pipeline.
    """
    return not any(depth(storage, QUEUES[script][0]) for script in POLLERS)


def poisoned(storage):
    """Take all messages out of the poison queues; return their texts."""
    names = [name for name in queues(storage) if name.endswith("-poison")]
    return [text for name in names for text in take(storage, name, depth(storage, name))]
