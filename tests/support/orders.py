"""Messages that are good for every poller, told apart by a number, and what became of them."""

import json
import uuid

from support.ledger import said
from support.queues import take
from support.topology import ARRIVED, QUEUES

REPLY_QUEUE = f"reply-queue-{uuid.UUID(int=0)}"
OUTPUTS = {script: target for script, (_, target) in QUEUES.items()}
OUTPUTS["replier.py"] = REPLY_QUEUE


def order(number, **fields):
    """Return the JSON text of an order, which is a request, too; its number is what tells it apart."""
    request = {"payload": "x", "reply_to": REPLY_QUEUE, "correlation_id": number}
    return json.dumps({"order_id": f"ORD-{number}", "amount": 1, **request, **fields})


def numbers(texts):
    """Return the numbers of these orders, or of their replies."""
    return [json.loads(text)["correlation_id"] for text in texts]


def arrived(script, storage, outputs, count):
    """Return the numbers of what the script passed on, once its output queue gave count of them.

    outputs: what its processes printed, in which the final consumer's orders are.
    """
    if OUTPUTS[script]:
        return numbers(take(storage, OUTPUTS[script], count))
    return numbers(said("".join(outputs), ARRIVED))
