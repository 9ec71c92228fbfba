"""The producer with a file or standard input, and with a mistake of the reader's own."""

import os

import pexpect
import pytest

from suite.helpers.proxy import Recorder
from suite.helpers.terminals import pseudo_terminal
from support import processes
from support.queues import depth, ensure_queue, queue_names, take
from support.topology import SENT

LINES = ['{"amount": 1}', "not JSON", '{"name": "\u5c71\u7530\u3000\u592a\u90ce"}', "last"]


@pytest.mark.parametrize("mark, end", [("", "\n"), ("\ufeff", "\r\n")])
@pytest.mark.parametrize("source", ["file", "standard input"])
def test_each_line_that_is_not_blank_is_an_order(run_script, storage, tmp_path, source, mark, end):
    file = tmp_path / "orders.jsonl"
    data = (mark + end.join([LINES[0], "", " \t ", *LINES[1:]]) + end).encode("utf-8")
    file.write_bytes(data)
    if source == "file":
        result = run_script("pipe_producer.py", file)
    else:  # as from a console in Japan, where Python's own choice is another encoding
        result = run_script("pipe_producer.py", "-", input=data, PYTHONIOENCODING="cp932:replace")
    assert result.returncode == 0
    messages = ensure_queue(storage, "queue-validate").peek_messages(32)
    assert {message.expires_on.year for message in messages} == {9999}  # never
    assert take(storage, "queue-validate", len(LINES)) == LINES
    assert result.out.count(SENT) == len(LINES)


def test_typed_line_is_sent_at_once(start_script):
    producer = start_script("pipe_producer.py", "-")
    for line in ('{"amount": 1}', '{"amount": 2}'):
        producer.sendline(line)
        producer.expect_exact(SENT + line)


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
    """Such as Esc, of an arrow key: Azurite would take it, and answer with 500 whoever receives."""
    passes = '{"amount": 1, "tab":\t0, "text": "\x7f\x85\u202e\u3000\U0001f375"}'
    file = tmp_path / "orders.jsonl"
    file.write_bytes(f"{passes}\n{{{character}}}\n{passes}".encode())
    line = error_line("pipe_producer.py", file)
    assert line == f"Stopped at line 2: a message cannot hold {ascii(character)}.\n"
    start_script("filter_validate.py")
    assert take(storage, "queue-enrich") == [passes]
    assert depth(storage, "queue-validate") == 0


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_arrow_key_in_a_terminal_is_said_and_what_came_before_was_sent(storage):
    command = processes.command_line("pipe_producer.py", "-")
    terminal = pseudo_terminal(command, processes.variables(storage.connection))
    for line in ("first", "\x1b[A"):
        terminal.sendline(line)
    terminal.expect_exact(f"{SENT}first")
    terminal.expect_exact("Stopped at line 2: a message cannot hold '\\x1b'.")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert take(storage, "queue-validate") == ["first"]


def test_set_in_order_is_shown_as_ones_own_mistake(run_script, edited, storage):
    folder = edited("pipe_producer.py", '["item-A", "item-B"]', '{"item-A", "item-B"}')
    result = run_script(
        "pipe_producer.py", folder=folder, traceback="Object of type set is not JSON"
    )
    assert result.returncode == 1
    assert "TypeError" in result.err
    assert queue_names(storage) == []
