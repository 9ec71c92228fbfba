"""What a person at a terminal meets: Ctrl+C, output that appears at once, odd code pages."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pexpect
import pytest
from conftest import (
    POLLERS,
    PROJECT,
    SCRIPTS,
    TIMEOUT,
    depth,
    interrupt,
    queues,
    send,
    wait_until,
)

NAMES = {
    "filter_validate.py": "[Filter A] Stopped.",
    "filter_enrich.py": "[Filter B] Stopped.",
    "final_consumer.py": "[Final Consumer] Stopped.",
    "replier.py": "[Replier] Stopped.",
    "requestor.py": "[Requestor] Stopped.",
    "pipe_producer.py": "Producer stopped.",
}
INPUT = {
    "filter_validate.py": "queue-validate",
    "filter_enrich.py": "queue-enrich",
    "final_consumer.py": "queue-finalize",
    "replier.py": "request-queue",
}
posix = pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl+C cannot be sent on Windows")


@posix
@pytest.mark.parametrize("script", POLLERS)
def test_ctrl_c_gives_one_line_and_exit_code_0(start, storage, script):
    send(storage, INPUT[script], "one message")  # with it, every module has been imported
    terminal = start(script)
    terminal.expect_exact("one message")
    wait_until(lambda: depth(storage, INPUT[script]) == 0)
    rest, code = interrupt(terminal)
    assert rest.splitlines()[-1] == NAMES[script]
    assert code == 0


@posix
@pytest.mark.parametrize("script", POLLERS)
def test_ctrl_c_while_storage_is_away(start, script):
    connection = "AccountName=x;AccountKey=QUFB;QueueEndpoint=http://127.0.0.1:9/x"
    terminal = start(script, AZURE_STORAGE_CONNECTION_STRING=connection)
    terminal.expect_exact("Is Azurite running?")
    assert interrupt(terminal)[1] == 0


@posix
@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_at_any_moment(start, script):
    """From the SDK's import on; what comes before is Python's own start.

    Python drops a KeyboardInterrupt that is raised in a weak reference's callback or in __del__, of
    which imports run thousands. Who presses Ctrl+C then presses it again: allowed once.
    """
    dropped = 0
    for milliseconds in range(0, 500, 100):
        terminal = start(script, "-" if script == "pipe_producer.py" else "x", PYTHONVERBOSE="1")
        terminal.expect_exact("import 'azure' #")
        time.sleep(milliseconds / 1000)  # the moment itself is what varies here
        terminal.kill(signal.SIGINT)
        if terminal.expect([pexpect.EOF, "Exception ignored in", pexpect.TIMEOUT], timeout=5):
            dropped += 1
            terminal.kill(signal.SIGINT)
            terminal.expect(pexpect.EOF)
        assert NAMES[script] in terminal.log.text
        # Python ends by the signal if it came during an exec() of its own, as imports have them.
        assert terminal.proc.wait(timeout=TIMEOUT) in (
            0 if script in POLLERS else 130,
            -signal.SIGINT,
        )
        terminal.log.text = ""  # -v prints whatever a module's name may be
    assert dropped <= 1


@pytest.mark.parametrize("script", POLLERS)
def test_a_character_that_the_terminal_cannot_show_stops_nothing(start, storage, script):
    send(storage, INPUT[script], '{"amount": 1, "name": "\u5c71\U0001f375"}')
    terminal = start(script, PYTHONIOENCODING="ascii")
    terminal.expect_exact(r'"name": "\u5c71\U0001f375"}')


def deaf(script, variables, reader_is_gone):
    """Start the script with its output into a pipe that nobody reads, or into a full disk."""
    if reader_is_gone:
        read, output = os.pipe()
        os.close(read)
    else:
        output = os.open("/dev/full", os.O_WRONLY)
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / script)],
        stdout=output,
        stderr=subprocess.PIPE,
        env=variables,
        encoding="utf-8",
    )
    os.close(output)
    return process


@posix
@pytest.mark.parametrize("reader_is_gone", [True] + [False] * os.path.exists("/dev/full"))
@pytest.mark.parametrize("script", SCRIPTS)
def test_output_that_goes_nowhere_ends_in_one_line(variables, storage, script, reader_is_gone):
    """As with "| head", or a disk that is full; "Exception ignored" is Python's, at its exit."""
    process = deaf(script, variables, reader_is_gone)
    output = process.communicate(timeout=TIMEOUT)[1]
    own = [line for line in output.splitlines() if "topped: [Errno" in line]
    assert len(own) == 1, output
    assert "Traceback" not in output
    assert process.returncode in (1, 120)  # 120 if Python, at its exit, cannot write either
    assert not [name for name in queues(storage) if name.startswith("reply-")]


@posix
@pytest.mark.parametrize("script", [*POLLERS, "requestor.py"])
def test_ctrl_c_when_it_stops_the_reader_of_the_output_first(variables, storage, script):
    """As with "| tee log"."""
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
        encoding="utf-8",
    )
    while "Waiting for" not in process.stdout.readline():
        assert process.poll() is None
    process.stdout.close()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=TIMEOUT)
    (line,) = [line for line in process.stderr.read().splitlines() if "topped" in line]
    assert line.startswith(NAMES[script][:-1])
    assert not [name for name in queues(storage) if name.startswith("reply-")]


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_the_packages_one_line_says_what_to_do(script, tmp_path):
    shutil.copy(PROJECT / script, tmp_path)
    result = subprocess.run(
        [sys.executable, "-S", "-E", str(tmp_path / script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "pip install -r requirements.txt" in result.stderr
