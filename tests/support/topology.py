"""The six scripts: their queues, and what they print."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SETTING = "AZURE_STORAGE_CONNECTION_STRING"
TIMEOUT = 60  # seconds until a test gives up waiting for an event
QUEUES = {  # script: (the queue it receives from, the queue it sends to), None if it has none
    "pipe_producer.py": (None, "queue-validate"),
    "filter_validate.py": ("queue-validate", "queue-enrich"),
    "filter_enrich.py": ("queue-enrich", "queue-finalize"),
    "final_consumer.py": ("queue-finalize", None),
    "replier.py": ("request-queue", None),  # it sends to the queue that a request names
    "requestor.py": (None, "request-queue"),
}
SCRIPTS = list(QUEUES)
INPUTS = [source for source, _ in QUEUES.values() if source]  # in the order of the pipeline
READY = {  # poller: what it prints once its queues are there
    "filter_validate.py": "[Filter A: Validate] Waiting for messages...",
    "filter_enrich.py": "[Filter B: Enrich] Waiting for messages...",
    "final_consumer.py": "[Final Consumer] Waiting for processed messages...",
    "replier.py": "[Replier] Waiting for requests...",
}
POLLERS = list(READY)
ONE_SHOTS = [script for script in SCRIPTS if script not in POLLERS]
SENT = "-> Sent to 'queue-validate': "  # an order comes after it, as after the next
ARRIVED = "[Final Consumer] Fully processed message received: "
REPLY = "[Requestor] Reply received: "
