"""What a person at a terminal meets: Ctrl+C, shells of other kinds, odd code pages."""

import pytest

from suite.helpers.orders import order, wait_depth, wait_done
from suite.helpers.terminals import interrupt
from support.emulator import connection_string, free_port
from support.queues import send
from support.topology import ARRIVED, READY, SETTING


@pytest.mark.parametrize("away", [False, True], ids=["idle", "storage is away"])
def test_ctrl_c_is_one_line_and_exit_code_0(start_script, storage, away):
    """While it waits for messages, or for storage: its next look, or its next start."""
    send(storage, "queue-validate", "one message")  # with it, every module has been imported
    changes = {SETTING: connection_string(free_port())} if away else {}
    terminal = start_script("filter_validate.py", **changes)
    terminal.expect_exact("Failed to establish a new connection" if away else "one message")
    wait_depth(storage, "queue-validate", int(away))
    rest, code = interrupt(terminal)
    assert (rest.splitlines()[-1], code) == ("[Filter A] Stopped.", 0)


def test_ctrl_c_stops_the_producer_that_waits_for_input(start_script):
    terminal = start_script("pipe_producer.py", "-")
    terminal.sendline(order(1))  # with it, every module has been imported
    terminal.expect_exact("-> Sent to")
    rest, code = interrupt(terminal)
    assert (rest.splitlines()[-1], code) == ("Producer stopped.", 130)


def test_output_that_cannot_be_reconfigured(start_script, edited):
    """As in IDLE and Jupyter."""
    begin = 'if __name__ == "__main__":'
    shell = 'type("Shell", (), {"write": sys.stdout.write, "flush": sys.stdout.flush})()'
    folder = edited("final_consumer.py", begin, f"sys.stdout = {shell}\n{begin}")
    terminal = start_script("final_consumer.py", folder=folder, PYTHONUNBUFFERED="1")
    terminal.expect_exact(READY["final_consumer.py"])


def test_what_a_cp932_pipe_cannot_show_stops_nothing(start_script, storage):
    send(storage, "queue-finalize", "\U0001f375")
    terminal = start_script("final_consumer.py", PYTHONIOENCODING="cp932")
    terminal.expect_exact(ARRIVED + r"\U0001f375")
    wait_done(storage, "final_consumer.py")
