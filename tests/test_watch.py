"""The live board: what it shows of the queues, in a terminal and in a pipe."""

import os
import re

import pexpect
import pytest

from support import emulator, scripts
from support.proxy import proxy
from support.queues import send, via, wait_until
from support.topology import NAME, TIMEOUT

WATCH = os.path.join("tests", "watch.py")
OFTEN = [WATCH, "--interval", "0.2"]
QUEUES = ["queue-validate", "queue-enrich", "queue-finalize", "request-queue"]
posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")


def row(name, *cells):
    """Return a pattern for the beginning of a row of the board."""
    return " +".join(map(str, [name, *cells])) + " "


def terminal(variables, **changes):
    """Start the board in a terminal."""
    python, *arguments = scripts.command(*OFTEN)
    variables = {**variables, "TERM": "xterm", **changes}
    return pexpect.spawn(python, arguments, env=variables, encoding="utf-8", timeout=TIMEOUT)


def test_order_of_a_killed_script_is_hidden_and_then_waits_again(start, storage, altered):
    folder = altered(
        "filter_validate.py",
        "VISIBILITY_TIMEOUT = 30",
        "VISIBILITY_TIMEOUT = 5",
        "def validate(order):\n",
        "def validate(order):\n    time.sleep(60)\n",
    )
    board = start(*OFTEN)
    send(storage, "queue-validate", '{"amount": 1}')
    board.expect(row("queue-validate", 1, 1, 0, "[0-9]+ s"))
    script = start("filter_validate.py", folder=folder)
    script.expect_exact("Received")
    script.proc.kill()
    board.expect(row("queue-validate", 1, 0, 1, "-"))
    board.expect(row("queue-validate", 1, 1, 0, "[0-9]+ s"))


def test_queue_that_grows_is_marked_as_long_as_it_grows(start, storage):
    send(storage, "queue-finalize", *["it stays"] * 9)
    board = start(*OFTEN)

    def marked():
        send(storage, "queue-enrich", "one more")
        return not board.expect(["queue-enrich[^\n]* <- grows", pexpect.TIMEOUT], timeout=0.05)

    wait_until(marked)
    board.expect(r"queue-enrich[^\n]* \+0\.0 *\r?\n")
    assert not re.search("queue-finalize.* <- grows", board.log.getvalue())


def test_more_than_32_that_wait_are_not_guessed_and_a_missing_queue_is_said(run, storage):
    send(storage, "queue-enrich", *["x"] * 32)
    send(storage, "queue-finalize", *["x"] * 33)
    _, *lines, _ = run(WATCH, "--once").out.splitlines()
    cells = [row("-", "-", "-"), row(32, 32, 0), row(33, r"32\+", r"\?"), row("-", "-", "-")]
    assert len(lines) == len(QUEUES)
    for line, name, cell in zip(lines, QUEUES, cells):
        assert re.match(row(name, cell), line), line
        assert line.rstrip().endswith("not there") == ("- " in cell)


def test_200_reply_queues_fit_on_the_board_and_into_23_calls(run, storage, azurite):
    replies = [f"reply-queue-{n:08d}-and-so-on" for n in range(200)]
    poison = [f"{name}-poison" for name in QUEUES]
    for name in [*replies, *poison, "another-queue"]:
        storage.service.create_queue(name)
    for name in QUEUES + replies[:3] + poison[1:]:
        send(storage, name, "contents")
    calls = []

    def intercept(method, path, forward):
        calls.append(path)
        return forward()

    with proxy(azurite, intercept) as port:
        lines = run(WATCH, "--once", **{NAME: via(port, storage)}).out.splitlines()
    shown = [*QUEUES, *["reply-queue-000000..."] * 3, "197", *poison[1:]]
    assert [line.split()[0] for line in lines[1:-1]] == shown
    assert len(calls) == 22  # the first poison queue is empty
    assert "contents" not in "".join(lines)


@posix
def test_storage_that_goes_away_and_comes_back(variables, tmp_path):
    process, port = emulator.start(tmp_path)
    try:
        with terminal(variables, **{NAME: emulator.connection_string(port)}) as board:
            board.expect("\nrequest-queue")
            emulator.stop(process)
            board.expect("\x1b\\[2mrequest-queue")  # dimmed
            board.expect(r"No figures since \d\d:\d\d:\d\d: .*refused")
            process, _ = emulator.start(tmp_path, port)
            board.expect("\nrequest-queue")
    finally:
        emulator.stop(process)


@posix
def test_ctrl_c_leaves_the_terminal_as_it_was(variables):
    with terminal(variables) as board:
        board.expect("request-queue")
        first = board.before
        board.sendintr()
        board.expect(pexpect.EOF)
    assert "Traceback" not in board.before
    codes = re.findall(r"\x1b\[(\?25[lh]|\d*m)", first + board.before)
    assert (codes[0], codes[-2:]) == ("?25l", ["0m", "?25h"])  # cursor off; plain text, cursor on
    assert board.exitstatus == 0


@pytest.mark.parametrize("setting", ["prose", "wrong key", "no host", "away"])
def test_what_cannot_work_gives_one_line(run, storage, setting):
    connection = {
        "wrong key": storage.connection.replace("AccountKey=", "AccountKey=QUFB"),
        "no host": f"AccountName={storage.key * 2};AccountKey=name",
        "away": "AccountName=x;AccountKey=QUFB;QueueEndpoint=http://127.0.0.1:9/x",
    }.get(setting, setting)
    result = run(WATCH, "--once", **{NAME: connection})
    assert (result.returncode, result.out, len(result.err.splitlines())) == (1, "", 1)


def test_the_projects_env_file_counts(run, storage, clone):
    (clone / ".env").write_text(f'{NAME}="{storage.connection}"\n', encoding="utf-8-sig")
    assert run(WATCH, "--once", folder=clone, **{NAME: None}).returncode == 0
