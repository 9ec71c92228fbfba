"""The live board: what it shows of the queues, in a terminal and in a pipe."""

import datetime
import os
import re

import pexpect
import pytest

import watch
from suite.helpers.proxy import PORTAL, Recorder
from suite.helpers.terminals import pseudo_terminal
from support import emulator, processes
from support.queues import ensure_queue, open_account, send, wait_until
from support.topology import SETTING

WATCH = os.path.join("tests", "watch.py")


def row(name, *cells):
    """Return a pattern for the beginning of a row of the board."""
    return " +".join(map(str, [name, *cells])) + " "


def test_queue_that_grows_is_marked_as_long_as_it_grows(start_script, storage):
    send(storage, "queue-finalize", *["it stays"] * 9)
    board = start_script(WATCH, "--interval", "0.2", FORCE_COLOR="1")

    def marked():
        send(storage, "queue-enrich", "one more")
        return not board.expect(["queue-enrich[^\n]*<- grows", pexpect.TIMEOUT], timeout=0.05)

    wait_until(marked)
    board.expect(r"queue-enrich[^\n]* \+0\.0 *\r?\n")
    assert not re.search("queue-finalize.*<- grows", board.log.getvalue())
    assert not re.search("\x1b\\[[^m]*[A-Zhl]", board.log.getvalue())  # nothing moves the cursor


def test_what_is_on_the_board_and_what_is_left_out(run_script, storage, via_proxy):
    replies = [f"reply-queue-{n:08d}-and-so-on" for n in range(200)]
    for name in [*replies, "queue-validate-poison", "another-queue"]:
        storage.service.create_queue(name)
    counts = {"queue-enrich": 32, "queue-finalize": 33, "queue-enrich-poison": 1, replies[0]: 1}
    for name, count in counts.items():
        send(storage, name, *["contents"] * count)
    recorder = Recorder()
    shown = run_script(WATCH, "--once", **via_proxy(recorder)).out
    rows = [
        row("queue-validate", "-", "-", "-", "-", "-", "-", "not there"),
        row("queue-enrich", 32, 32, 0, 0, "[0-9]+ s"),
        row("queue-finalize", 33, r"32\+", r"\?", 0, "[0-9]+ s"),
        row("request-queue", "-", "-", "-", "-", "-", "-", "not there"),
        row(r"reply-queue-000000\.\.\.", 1, 1, 0, 0, "[0-9]+ s"),
        *[row(r"reply-queue-000000\.\.\.", 0, 0, 0, "-", "-")] * 2,
        "197 more reply queues ",
        row("queue-enrich-poison", 1, 1, 0, 0, "[0-9]+ s"),
    ]
    assert re.fullmatch(".*\n".join(["queue ", *rows, "[0-9:]+"]) + "\n", shown), shown
    assert len(recorder.calls) == 14  # the list, 9 counts, and a look into 4 that are not empty
    assert "contents" not in shown


def test_dequeue_count_climbs_each_time_a_message_comes_back(start_script, storage):
    """As it does while a bug in a filter makes its work fail, until the sixth time."""
    send(storage, "queue-validate", "comes back")
    queue = ensure_queue(storage, "queue-validate")
    board = start_script(WATCH, "--interval", "0.2")
    board.expect(row("queue-validate", 1, 1, 0, 0, r"\d+ s"))
    for count in range(1, 6):
        next(queue.receive_messages(visibility_timeout=2))
        board.expect(row("queue-validate", 1, 0, 1, "-", "-"))
        board.expect(row("queue-validate", 1, 1, 0, count, r"\d+ s"))
    send(storage, "queue-validate", "another")
    board.expect(row("queue-validate", 2, 2, 0, 5, r"\d+ s"))


def test_age_is_rounded_down():
    ages = {-5: "0 s", 59.7: "59 s", 60: "1 min", 3599: "59 min", 86399: "23 h", 9e5: "10 d"}
    for seconds, text in ages.items():
        assert watch.age(watch.now() - datetime.timedelta(seconds=seconds)) == text


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_storage_goes_away_and_comes_back_and_ctrl_c_leaves_the_terminal_as_it_was(tmp_path):
    """In a window that is too small for all columns and queues."""
    process, port = emulator.start_azurite(tmp_path)
    send(open_account(emulator.connection_string(port)), "request-queue", "waits")
    variables = {**processes.variables(emulator.connection_string(port)), "TERM": "xterm"}
    for name in ("LINES", "COLUMNS"):  # readline puts pytest's own into the environment
        variables.pop(name, None)
    board = pseudo_terminal(processes.command_line(WATCH), variables, dimensions=(5, 70))
    try:
        board.expect("\nrequest-queue")
        assert "hidden" in board.before
        assert "change/s" not in board.before
        assert "queue-validate" not in board.before
        emulator.stop_azurite(process)
        board.expect("\x1b\\[2mrequest-queue")  # dimmed
        board.expect(r"No figures since \d\d:\d\d:\d\d: .*refused")
        process, _ = emulator.start_azurite(tmp_path, port)
        board.expect("\nrequest-queue")
        board.sendintr()
        board.expect(pexpect.EOF)
    finally:
        emulator.stop_azurite(process)
    board.close()
    assert "Traceback" not in board.log.getvalue()
    codes = re.findall(r"\x1b\[(\?25[lh]|\d*m)", board.log.getvalue())
    assert (codes[0], codes[-2:]) == ("?25l", ["0m", "?25h"])  # cursor off; plain text, cursor on
    assert board.exitstatus == 0


@pytest.mark.parametrize("tool", [[WATCH, "--once"], ["tests/reset.py"]])
def test_what_a_tool_cannot_use_gives_the_line_of_the_scripts(error_line, storage, via_proxy, tool):
    for setting, line in {
        "prose": f"{SETTING} is not set, or wrong. See .env.example.",
        f"AccountName={storage.key * 2};AccountKey=name": f"{SETTING} is not set",  # no host
        storage.connection.replace("AccountKey=", "AccountKey=QUFB"): "Wrong key in .env? ",
        re.sub(r":\d+/", ":9/", storage.connection): "Failed to establish a new connection",
        via_proxy(lambda *_: PORTAL)[SETTING]: "Not a queue service, something else answers: 200",
    }.items():
        assert line in error_line(*tool, **{SETTING: setting})
