"""The reset: what it deletes, and what it asks and says before."""

from support.queues import depth, ensure_queue, queue_names, send
from support.topology import SETTING

RESET = "tests/reset.py"


def test_all_that_is_left_goes_hidden_messages_too_and_nothing_else(run_script, storage, clone):
    for name in 3 * ["queue-validate"] + ["queue-finalize-poison"] + 2 * ["another-queue"]:
        send(storage, name, "a message")
    next(ensure_queue(storage, "queue-validate").receive_messages(visibility_timeout=60))
    for name in ("request-queue", "reply-queue-00000000-left-over"):
        ensure_queue(storage, name)
    (clone / ".env").write_text(f'{SETTING}="{storage.connection}"\n', encoding="utf-8-sig")
    shown = [run_script(RESET, folder=clone, **{SETTING: None}).out for _ in range(2)]
    assert shown == [
        "queue-validate: 3 messages deleted\nqueue-finalize-poison: 1 message deleted\n"
        "reply-queue-00000000-left-over: deleted\n",
        "All queues are empty.\n",
    ]
    left = {name: depth(storage, name) for name in queue_names(storage)}
    assert left.pop("another-queue") == 2
    assert left == {"queue-validate": 0, "queue-finalize-poison": 0, "request-queue": 0}


def test_elsewhere_than_on_the_emulator_it_asks_first(run_script, storage, azurite):
    """The way to Azure leads through a proxy here, which is Azurite itself."""
    account, key = storage.service.account_name, storage.key
    endpoint = "EndpointSuffix=core.windows.net;DefaultEndpointsProtocol=http"
    variables = {
        SETTING: f"AccountName={account};AccountKey={key};{endpoint}",
        "http_proxy": f"http://127.0.0.1:{azurite}",
    }
    assert run_script(RESET, **variables).out == "All queues are empty.\n"
    send(storage, "queue-enrich", "one", "two")
    ensure_queue(storage, "reply-queue-00000000-left-over")
    for answer in (b"", b"\n", b"no\n"):
        result = run_script(RESET, input=answer, **variables)
        assert (result.returncode, result.err) == (1, "Nothing was deleted.\n")
        assert result.out.startswith(f"Account {account}: 2 messages and 1 reply queues will be")
        assert depth(storage, "queue-enrich") == 2
    result = run_script(RESET, input=b"y\n", **variables)
    assert (result.returncode, depth(storage, "queue-enrich")) == (0, 0)
    assert "queue-enrich: 2 messages deleted\nreply-queue-00000000-left-over: " in result.out
