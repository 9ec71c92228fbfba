"""Messages that are good for every poller, told apart by a number, and what becomes of them."""

import json
import re
import uuid

from support.queues import depth, queue_of, queues, send, take, wait_until
from support.topology import ARRIVED, POLLERS, QUEUES, TIMEOUT

REPLY_QUEUE = f"reply-queue-{uuid.UUID(int=0)}"
OUTPUTS = {script: target for script, (_, target) in QUEUES.items()}
OUTPUTS["replier.py"] = REPLY_QUEUE


def order(number, **fields):
    """Return the JSON text of an order, which is a request, too; its number is what tells it apart."""
    request = {"payload": "x", "reply_to": REPLY_QUEUE, "correlation_id": number}
    return json.dumps({"order_id": f"ORD-{number}", "amount": 1, **request, **fields})


def give(storage, script, *texts):
    """Send the texts to a poller's input queue, and make the queue that it sends to."""
    if OUTPUTS[script]:
        queue_of(storage, OUTPUTS[script])
    send(storage, QUEUES[script][0], *texts)


def wait_done(storage, script, timeout=TIMEOUT):
    """Wait until the script's input queue is empty, of invisible messages, too."""
    wait_until(lambda: depth(storage, QUEUES[script][0]) == 0, timeout)


def numbers(texts):
    """Return the numbers of these orders, or of their replies."""
    return [json.loads(text)["correlation_id"] for text in texts]


def order_ids(texts):
    """Return the orders' IDs; for what holds none the text itself."""
    ids = []
    for text in texts:
        try:
            ids.append(json.loads(text)["order_id"])
        except (ValueError, TypeError, KeyError):
            ids.append(text)
    return ids


def said(text, start):
    """Return the rest of each line of the text that begins so."""
    return re.findall(f"^{re.escape(start)}(.*)", text, re.MULTILINE)


def arrived(script, storage, outputs, count):
    """Return the numbers of what the script passed on, once its output queue gave count of them.

    outputs: what its processes printed, in which the final consumer's orders are.
    """
    if OUTPUTS[script]:
        return numbers(take(storage, OUTPUTS[script], count))
    return numbers(said("".join(outputs), ARRIVED))


def all_done(storage):
    """Return whether no script has anything left to receive, not even what is invisible now.

    What moves on while this looks is seen, for it looks at the queues in the order of the pipeline.
    """
    return not any(depth(storage, QUEUES[script][0]) for script in POLLERS)


def poisoned(storage):
    """Take all messages out of the poison queues; return their texts."""
    names = [name for name in queues(storage) if name.endswith("-poison")]
    return [text for name in names for text in take(storage, name, depth(storage, name))]
