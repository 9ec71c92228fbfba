"""The queues of a storage account, seen from outside the scripts."""

import contextlib
import os
import time
from types import SimpleNamespace

from support.topology import POLLERS, QUEUES, SETTING, TIMEOUT

CALL = {"connection_timeout": 4, "read_timeout": 4, "retry_total": 0}  # seconds; of a tool's calls


def open_account(connection, **options):
    """Return the account of a connection string: with .connection, .key and .service, its client.

    The options are those of the client; ValueError if the connection string cannot be one.
    """
    from azure.storage.queue import QueueServiceClient

    service = QueueServiceClient.from_connection_string(connection, **options)
    key = getattr(service.credential, "account_key", None)
    return SimpleNamespace(connection=connection, key=key, service=service)


def account_in_env():
    """Return the account in .env, found as the scripts find it; RuntimeError if there is none.

    A call raises AzureError also if something else answers: another server, a proxy's page.
    """
    from dotenv import load_dotenv

    try:
        load_dotenv(encoding="utf-8-sig")
        storage = open_account(os.getenv(SETTING, ""), raw_response_hook=refuse_others, **CALL)
        storage.service.primary_hostname.encode("idna")  # as the scripts do
    except ValueError:
        raise RuntimeError(f"{SETTING} is not set, or wrong. See .env.example.") from None
    return storage


def refuse_others(response):
    """Raise AzureError for an answer (the SDK's) that no storage service gave."""
    from azure.core.exceptions import AzureError

    answer = response.http_response
    if not any(name.lower().startswith("x-ms-") for name in answer.headers):
        raise AzureError(f"Not a queue service, something else answers: {answer.status_code}")


def wait_until(condition, timeout=TIMEOUT, pause=0.05, what="what was waited for"):
    """Return the condition's first true value; RuntimeError if none comes in timeout seconds.

    pause: seconds between two looks. what: the condition in words, for the error.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise RuntimeError(f"Not within {timeout} s: {what}.")


def queue_names(storage):
    """Return the names of the account's queues."""
    return [queue.name for queue in storage.service.list_queues()]


def ensure_queue(storage, name):
    """Return the client of a queue that is there, made if need be."""
    from azure.core.exceptions import ResourceExistsError

    with contextlib.suppress(ResourceExistsError):
        storage.service.create_queue(name)
    return storage.service.get_queue_client(name)


def send(storage, name, *texts):
    """Send the texts to a queue, made if need be."""
    queue = ensure_queue(storage, name)
    for text in texts:
        queue.send_message(text)


def take(storage, name, count=1):
    """Return the contents of the queue's next messages, deleted, once there are count of them."""
    queue, contents = ensure_queue(storage, name), []

    def enough():
        for message in queue.receive_messages(messages_per_page=32):
            contents.append(message.content)
            queue.delete_message(message)
        return len(contents) >= count

    wait_until(enough, what=f"{count} messages in {name}")
    return contents


def depth(storage, name):
    """Return how many messages are in the queue, the invisible ones too; 0 if there is no queue."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return (
            storage.service.get_queue_client(name).get_queue_properties().approximate_message_count
        )
    except ResourceNotFoundError:
        return 0


def all_done(storage):
    """Return whether no script has anything left to receive, not even what is invisible now.

    What moves on while this looks is seen, for it looks at the queues in the order of the pipeline.
    """
    return not any(depth(storage, QUEUES[script][0]) for script in POLLERS)


def poisoned(storage):
    """Take all messages out of the poison queues; return their texts."""
    names = [name for name in queue_names(storage) if name.endswith("-poison")]
    return [text for name in names for text in take(storage, name, depth(storage, name))]
