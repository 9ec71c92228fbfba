"""The producer with a file or standard input, and with a mistake of the reader's own."""

import pytest

from suite.helpers.orders import wait_done
from suite.helpers.proxy import Recorder
from support.queues import depth, ensure_queue, queue_names, take
from support.topology import SENT, TIMEOUT

LINES = ['{"amount": 1}', "not JSON", '{"name": "\u5c71\u7530\u3000\u592a\u90ce"}', "last"]


@pytest.mark.parametrize("mark, end", [("", "\n"), ("\ufeff", "\r\n")])
@pytest.mark.parametrize("source", ["file", "standard input"])
def test_each_line_that_is_not_blank_is_an_order(run_script, storage, tmp_path, source, mark, end):
    data = (mark + end.join([LINES[0], "", " \t ", *LINES[1:]]) + end).encode("utf-8")
    if source == "file":
        (tmp_path / "orders.jsonl").write_bytes(data)
        result = run_script("pipe_producer.py", tmp_path / "orders.jsonl")
    else:  # as from a console in Japan, where Python's own choice is another encoding
        result = run_script("pipe_producer.py", "-", input=data, PYTHONIOENCODING="cp932:replace")
    assert result.returncode == 0
    messages = ensure_queue(storage, "queue-validate").peek_messages(32)
    assert {message.expires_on.year for message in messages} == {9999}  # never
    assert take(storage, "queue-validate", len(LINES)) == LINES
    assert result.out.count(SENT) == len(LINES)


def test_typed_line_is_sent_at_once_and_an_arrow_key_is_named(start_script, storage):
    producer = start_script("pipe_producer.py", "-")
    for line in LINES[:2]:
        producer.sendline(line)
        producer.expect_exact(SENT + line)
    producer.sendline("\x1b[A")
    producer.expect_exact("Stopped at line 3: a message cannot hold '\\x1b'.")
    assert producer.proc.wait(timeout=TIMEOUT) == 1
    assert take(storage, "queue-validate", 2) == LINES[:2]


@pytest.mark.parametrize(
    "name, data",
    [
        ("missing.jsonl", b""),
        (".", b""),
        ("orders.jsonl", "\u6ce8\u6587".encode("cp932")),  # as Windows in Japan writes
        ("-", "\u6ce8\u6587".encode("cp932")),
    ],
)
def test_what_cannot_be_read_is_one_line(error_line, storage, tmp_path, name, data):
    (tmp_path / "orders.jsonl").write_bytes(data)
    path = name if name == "-" else tmp_path / name
    assert error_line("pipe_producer.py", path, input=data).startswith(f"Cannot read {path}: ")
    assert depth(storage, "queue-validate") == 0


@pytest.mark.parametrize(
    "third, cut, reason",
    [("x" * 65537, 0, "The request body is too large"), ("x", 2, "")],
    ids=["too large", "connection lost"],
)
def test_line_that_is_not_sent_is_named_and_those_before_are_sent(
    run_script, storage, via_proxy, tmp_path, third, cut, reason
):
    file = tmp_path / "orders.jsonl"
    file.write_text(f"first\n\n{third}\nfourth\n")
    recorder = Recorder("send", lambda forward: None, first=2, times=cut)
    result = run_script("pipe_producer.py", file, **via_proxy(recorder))
    assert (result.returncode, result.err.count("\n")) == (1, 1)
    assert result.err.startswith(f"Stopped at line 3: {reason}")
    assert result.out.endswith(f"{SENT}first\n")
    assert take(storage, "queue-validate") == ["first"]


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0e", "\ufffe", "\uffff"])
def test_character_that_no_message_can_hold_is_named_and_stops_no_filter(
    error_line, start_script, storage, tmp_path, character
):
    """Azurite would take it, and answer with 500 whoever receives."""
    passes = '{"amount": 1, "tab":\t0, "text": "\x7f\x85\u202e\u3000\U0001f375"}'
    file = tmp_path / "orders.jsonl"
    file.write_bytes(f"{passes}\n{{{character}}}\n{passes}".encode())
    line = error_line("pipe_producer.py", file)
    assert line == f"Stopped at line 2: a message cannot hold {ascii(character)}.\n"
    start_script("filter_validate.py")
    assert take(storage, "queue-enrich") == [passes]
    wait_done(storage, "filter_validate.py")


def test_set_in_order_is_shown_as_ones_own_mistake(run_script, edited, storage):
    folder = edited("pipe_producer.py", '["item-A", "item-B"]', '{"item-A", "item-B"}')
    error = "TypeError: Object of type set is not JSON"
    result = run_script("pipe_producer.py", folder=folder, traceback=error)
    assert (result.returncode, queue_names(storage)) == (1, [])
    assert error in result.err
