"""What became of each order that was sent: it arrived, was rejected, was put aside, or is lost."""

import json

from support.queues import depth, queues, take
from support.topology import POLLERS, QUEUES


def order_id(text):
    """Return the order's ID, or the text itself where it holds none."""
    try:
        return json.loads(text)["order_id"]
    except (ValueError, TypeError, KeyError):
        return text


def empty(storage):
    """Return whether no script has anything left to receive, not even what is invisible now.

    What moves on while this looks is seen, for it looks at the queues in the order of the pipeline.
    """
    return not any(depth(storage, QUEUES[script][0]) for script in POLLERS)


def poisoned(storage):
    """Take all messages out of the poison queues; return their texts by queue."""
    names = [name for name in queues(storage) if name.endswith("-poison")]
    return {name: take(storage, name, depth(storage, name)) for name in names}
