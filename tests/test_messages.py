"""Wire formats, and what becomes of each kind of message."""

import datetime
import json
import uuid

import pytest
from conftest import depth, queue_of, queues, send, take, wait_until

ORDER = {"order_id": "ORD-123", "amount": 25000, "items": ["item-A", "item-B"]}
READY = "Waiting for"
FILTERS = {
    "filter_validate.py": ("queue-validate", "queue-enrich"),
    "filter_enrich.py": ("queue-enrich", "queue-finalize"),
}
POLLERS = {**FILTERS, "replier.py": ("request-queue", None)}
BAD = {
    "not JSON": ("hello", "Expecting value"),
    "cut off": ('{"amount": 1', "delimiter"),
    "empty object's neighbour": ("[1]", "not a JSON object"),
    "string": ('"text"', "not a JSON object"),
    "NaN": ('{"amount": NaN}', "not JSON compliant"),
    "Infinity": ('{"amount": -Infinity}', "not JSON compliant"),
    "1e999": ('{"amount": 1e999}', "not JSON compliant"),
    "deep nesting": ("[" * 30000 + "]" * 30000, "recursion"),
    "Base64": ("eyJhIjoxfQ==", "Base64"),
    "white space": (" ", "Expecting value"),
}


def test_producer_sends_json_with_the_handouts_fields(run, storage):
    run("pipe_producer.py")
    assert take(storage, "queue-validate") == [json.dumps(ORDER)]


@pytest.mark.parametrize(
    "text",
    [
        '{"amount":1}',
        '{"b": 2,\r\n  "amount" : 1.50, "amount": 2.0 }  ',
        '{"amount": 1, "name": "\u5c71\u7530 \U0001f375", "raw": "\\u5c71 <&>"}',
        '{"amount": 1, "big": ' + "9" * 300 + "}",
    ],
)
def test_valid_order_goes_on_byte_for_byte(start, storage, text):
    send(storage, "queue-validate", text)
    start("filter_validate.py")
    assert take(storage, "queue-enrich") == [text]
    wait_until(lambda: depth(storage, "queue-validate") == 0)


def test_order_without_a_positive_amount_is_discarded(start, storage):
    amounts = ["0", "-1", "-0.5", '"5"', "null", "true", "[5]", "{}", "0.0"]
    orders = ['{"order_id": "X", "amount": %s}' % amount for amount in amounts]
    send(storage, "queue-validate", '{"order_id": "no amount"}', *orders)
    terminal = start("filter_validate.py")
    for _ in range(10):
        terminal.expect_exact("[Filter A] Validation failed. Discarding message. Reason: amount is")
    wait_until(lambda: depth(storage, "queue-validate") == 0)
    assert depth(storage, "queue-enrich") == 0
    assert "queue-validate-poison" not in queues(storage)


def test_enrich_adds_the_time_and_leaves_the_rest(start, storage):
    order = {
        "z": None,
        "amount": 1.25,
        "name": "\u5c71\u7530",
        "deep": [{"a": [True]}],
        "\ud800": 1,
    }
    before = datetime.datetime.now(datetime.timezone.utc)
    send(storage, "queue-enrich", json.dumps(order))
    start("filter_enrich.py")
    (text,) = take(storage, "queue-finalize")
    result = json.loads(text)
    processed_at = datetime.datetime.fromisoformat(result.pop("processed_at"))
    assert list(result.items()) == list(order.items())
    assert processed_at.utcoffset() == datetime.timedelta(0)
    assert before <= processed_at <= datetime.datetime.now(datetime.timezone.utc)
    wait_until(lambda: depth(storage, "queue-enrich") == 0)


def test_final_consumer_prints_whatever_it_gets(start, storage):
    texts = ["hello", '{"a": NaN}', '{"a": 1}', "\u5c71\u7530"]
    send(storage, "queue-finalize", *texts)
    terminal = start("final_consumer.py")
    for text in texts:
        terminal.expect_exact("[Final Consumer] Fully processed message received: " + text)
    wait_until(lambda: depth(storage, "queue-finalize") == 0)


@pytest.mark.parametrize("script", POLLERS)
def test_bad_message_goes_to_the_poison_queue_with_a_reason(start, storage, script):
    source, _ = POLLERS[script]
    texts = [text for text, _ in BAD.values()]
    send(storage, source, *texts)
    terminal = start(script)
    for _, reason in BAD.values():
        terminal.expect_exact(f"Bad message moved to '{source}-poison': ")
        terminal.expect(f"^[^\\n]*{reason}[^\\n]*\\n")
    assert take(storage, source + "-poison", len(texts)) == texts
    wait_until(lambda: depth(storage, source) == 0)


@pytest.mark.parametrize("script", POLLERS)
def test_poison_message_never_expires(start, storage, script):
    source, _ = POLLERS[script]
    send(storage, source, "bad")
    start(script)
    poison = queue_of(storage, source + "-poison")
    (message,) = wait_until(lambda: list(poison.peek_messages()))
    assert message.expires_on.year == 9999


WORK = {  # script: the beginning of the work of its own
    "filter_validate.py": '    amount = order.get("amount")\n',
    "filter_enrich.py": '    return {**order, "processed_at"',
}


@pytest.mark.parametrize("script", WORK)
def test_work_that_fails_is_tried_again_and_then_poison_while_the_others_pass(
    start, altered, storage, script
):
    source, target = FILTERS[script]
    faulty = '    order["customer"]\n' + WORK[script]
    short = ('"visibility_timeout": 30', '"visibility_timeout": 1')
    good = [json.dumps({"amount": n, "customer": "x"}) for n in range(1, 4)]
    send(storage, source, good[0], '{"amount": 1}', *good[1:])
    terminal = start(script, folder=altered(script, *short, WORK[script], faulty))
    for _ in range(5):
        terminal.expect_exact("Failed: KeyError('customer'). The message will come back.")
    terminal.expect_exact(f"moved to '{source}-poison': it was delivered 6 times.")
    assert take(storage, source + "-poison") == ['{"amount": 1}']
    assert len(take(storage, target, 3)) == 3
    wait_until(lambda: depth(storage, source) == 0)
    assert terminal.log.text.count("Failed") == 5


def test_result_that_is_not_json_is_poison(start, altered, storage):
    changed = ('"processed_at": now.isoformat()', '"processed_at": float("nan")')
    send(storage, "queue-enrich", '{"amount": 1}')
    terminal = start("filter_enrich.py", folder=altered("filter_enrich.py", *changed))
    terminal.expect_exact("Bad message moved to 'queue-enrich-poison': ")
    assert take(storage, "queue-enrich-poison") == ['{"amount": 1}']
    assert depth(storage, "queue-finalize") == 0


@pytest.mark.parametrize("script", POLLERS)
def test_poison_queue_is_made_only_when_needed(start, storage, script):
    start(script).expect_exact(READY)
    assert not [name for name in queues(storage) if name.endswith("-poison")]


@pytest.mark.parametrize("script", POLLERS)
def test_message_delivered_more_than_five_times_is_poison(start, storage, script):
    source, _ = POLLERS[script]
    queue = queue_of(storage, source)
    queue.send_message('{"amount": 1}')
    for _ in range(1, 6):
        wait_until(lambda: list(queue.receive_messages(visibility_timeout=1)))
    terminal = start(script)
    terminal.expect_exact(f"moved to '{source}-poison': it was delivered 6 times.")
    assert take(storage, source + "-poison") == ['{"amount": 1}']


def test_message_delivered_five_times_is_still_done(start, storage):
    queue = queue_of(storage, "queue-validate")
    queue.send_message('{"amount": 1}')
    for _ in range(1, 5):
        wait_until(lambda: list(queue.receive_messages(visibility_timeout=1)))
    start("filter_validate.py")
    assert take(storage, "queue-enrich") == ['{"amount": 1}']


def test_result_that_outgrows_a_message_is_poison(start, storage):
    text = json.dumps({"amount": 1, "text": "x" * 65490})
    send(storage, "queue-enrich", text)
    start("filter_enrich.py").expect_exact("'queue-enrich-poison': it grew to")
    assert take(storage, "queue-enrich-poison") == [text]


def test_good_message_behind_bad_ones_passes(start, storage):
    send(storage, "queue-validate", *["bad"] * 40, '{"amount": 1}')
    start("filter_validate.py")
    assert take(storage, "queue-enrich") == ['{"amount": 1}']
    wait_until(lambda: depth(storage, "queue-validate-poison") == 40)


@pytest.mark.parametrize("script", [*FILTERS, "final_consumer.py", "replier.py"])
def test_no_content_can_forge_a_line_or_steer_the_terminal(start, storage, script):
    source = dict(POLLERS, **{"final_consumer.py": ("queue-finalize", None)})[script][0]
    evil = '{"a": "\u202e\u200b\x7f\x9b2J"}\r\n[Filter A] Stopped.\u2028'
    send(storage, source, evil)
    terminal = start(script)
    terminal.expect_exact(r'{"a": "\u202e\u200b\x7f\x9b2J"}\r\n[Filter A] Stopped.\u2028')


class Requests:
    """A requestor of the test's own: sends requests and reads its reply queue."""

    def __init__(self, storage):
        self.storage, self.name = storage, f"reply-queue-{uuid.uuid4()}"
        queue_of(storage, self.name)

    def ask(self, **request):
        """Send the request with these fields, with good ones for reply_to and correlation_id."""
        send(
            self.storage,
            "request-queue",
            json.dumps(
                {"payload": "hi", "reply_to": self.name, "correlation_id": "xyz", **request}
            ),
        )

    def reply(self):
        """Return the next reply as a dict."""
        return json.loads(take(self.storage, self.name)[0])


def test_reply_on_the_wire(start, storage):
    requests = Requests(storage)
    requests.ask(payload="Gr\u00fc\u00dfe \u5c71")
    start("replier.py")
    assert requests.reply() == {"result": "GR\u00dcSSE \u5c71", "correlation_id": "xyz"}
    wait_until(lambda: depth(storage, "request-queue") == 0)


@pytest.mark.parametrize("payload", [None, 5, ["a"], {"a": 1}])
def test_work_that_fails_is_answered_with_an_error(start, storage, payload):
    requests = Requests(storage)
    requests.ask(payload=payload)
    start("replier.py")
    reply = requests.reply()
    assert set(reply) == {"error", "correlation_id"}
    assert "has no attribute 'upper'" in reply["error"]
    wait_until(lambda: depth(storage, "request-queue") == 0)


def test_result_that_does_not_fit_is_answered_with_an_error(start, storage):
    requests = Requests(storage)
    send(
        storage,
        "request-queue",
        json.dumps(
            {"payload": "\u5c71" * 15000, "reply_to": requests.name, "correlation_id": "xyz"},
            ensure_ascii=False,
        ),
    )
    start("replier.py")
    assert "does not fit" in requests.reply()["error"]


def test_request_for_a_foreign_queue_is_refused(start, storage):
    requests = Requests(storage)
    queue_of(storage, "queue-validate")
    foreign = [
        "queue-validate",
        "request-queue",
        "reply-queue-",
        "reply-queue-x",
        None,
        7,
        ["reply-queue-"],
        "reply-queue-" + "-" * 36,  # storage would refuse the name, and so end the script
        f"reply-queue-{uuid.UUID(int=0)}\n",
        f"x-reply-queue-{uuid.UUID(int=0)}",
    ]
    for reply_to in foreign:
        requests.ask(reply_to=reply_to)
    requests.ask(payload="good")
    terminal = start("replier.py")
    for _ in foreign:
        terminal.expect_exact("'request-queue-poison': reply_to is not a reply queue.")
    assert requests.reply()["result"] == "GOOD"
    assert depth(storage, "queue-validate") == 0
    assert len(take(storage, "request-queue-poison", len(foreign))) == len(foreign)


def test_request_that_no_reply_can_be_matched_with_is_poison(start, storage):
    requests = Requests(storage)
    identities = [None, 5, "x" * 101]
    for identity in identities:
        requests.ask(correlation_id=identity)
    terminal = start("replier.py")
    for _ in identities:
        terminal.expect_exact("'request-queue-poison': correlation_id is not")


def test_request_of_a_requestor_that_is_gone_is_discarded(start, storage):
    gone = f"reply-queue-{uuid.uuid4()}"
    send(
        storage,
        "request-queue",
        json.dumps({"payload": "hi", "reply_to": gone, "correlation_id": "xyz"}),
    )
    start("replier.py").expect_exact(f"[Replier] Reply queue '{gone}' is gone. Discarding")
    wait_until(lambda: depth(storage, "request-queue") == 0)
    assert gone not in queues(storage)
