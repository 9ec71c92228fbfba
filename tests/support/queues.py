"""The queues of a storage account, seen from outside the scripts."""

import re
import time
from types import SimpleNamespace

from support.topology import TIMEOUT


def account(connection):
    """Return the account of a connection string: with .connection, .key and .service, its client."""
    from azure.storage.queue import QueueServiceClient

    service = QueueServiceClient.from_connection_string(connection)
    key = getattr(service.credential, "account_key", None)
    return SimpleNamespace(connection=connection, key=key, service=service)


def via(port, storage):
    """Return the account's connection string by way of a proxy on this port."""
    return re.sub(r":\d+/", f":{port}/", storage.connection)


def wait_until(condition, timeout=TIMEOUT, pause=0.05):
    """Return the condition's first true value; RuntimeError if none comes in timeout seconds.

    pause: seconds between two looks.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise RuntimeError(f"Not done within {timeout} s.")


def queues(storage):
    """Return the names of the account's queues."""
    return [queue.name for queue in storage.service.list_queues()]


def queue_of(storage, name):
    """Return the client of a queue that is there, made if need be."""
    if name not in queues(storage):
        storage.service.create_queue(name)
    return storage.service.get_queue_client(name)


def send(storage, name, *texts):
    """Send the texts to a queue, made if need be."""
    queue = queue_of(storage, name)
    for text in texts:
        queue.send_message(text)


def take(storage, name, count=1, timeout=TIMEOUT):
    """Return the contents of the queue's next messages, deleted, once there are count of them."""
    queue, contents = queue_of(storage, name), []

    def enough():
        for message in queue.receive_messages(messages_per_page=32, visibility_timeout=60):
            contents.append(message.content)
            queue.delete_message(message)
        return len(contents) >= count

    wait_until(enough, timeout)
    return contents


def depth(storage, name):
    """Return how many messages are in the queue, the invisible ones too; 0 if there is no queue."""
    from azure.core.exceptions import ResourceNotFoundError

    queue = storage.service.get_queue_client(name)
    try:
        return queue.get_queue_properties().approximate_message_count
    except ResourceNotFoundError:
        return 0
