"""Messages that are good for every poller, told apart by a number, and what becomes of them."""

import json
import uuid

from support import processes
from support.queues import depth, ensure_queue, send, take, wait_until
from support.topology import ARRIVED, QUEUES

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
        ensure_queue(storage, OUTPUTS[script])
    send(storage, QUEUES[script][0], *texts)


def first_message(storage, name):
    """Return the first message of the queue once there is one, only peeked at."""
    queue = ensure_queue(storage, name)
    return wait_until(queue.peek_messages, what=f"a message in {name}")[0]


def wait_done(storage, script):
    """Wait until the script's input queue is empty, of invisible messages, too."""
    wait_depth(storage, QUEUES[script][0], 0)


def wait_depth(storage, name, count):
    """Wait until there are so many messages in the queue, the invisible ones counted."""
    wait_until(lambda: depth(storage, name) == count, what=f"{count} messages in {name}")


def numbers(texts):
    """Return the numbers of these orders, or of their replies."""
    return [json.loads(text)["correlation_id"] for text in texts]


def arrived(script, storage, outputs, count):
    """Return the numbers of what the script passed on, once its output queue gave count of them.

    outputs: what its processes printed, in which the final consumer's orders are.
    """
    if OUTPUTS[script]:
        return numbers(take(storage, OUTPUTS[script], count))
    return numbers(processes.said("".join(outputs), ARRIVED))
