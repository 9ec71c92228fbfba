"""Processes as in a terminal: their lines, what they print to their end, and Ctrl+C."""

import contextlib
import io
import os
import signal
import subprocess
import time

from support import processes
from support.topology import TIMEOUT


def spawn(command, variables=None, timeout=TIMEOUT):
    """Start a command line; return pexpect's process, whose .log.getvalue() is all it printed so far.

    timeout: seconds that expect() waits.
    """
    from pexpect.popen_spawn import PopenSpawn

    log = io.StringIO()
    process = PopenSpawn(command, timeout=timeout, env=variables, encoding="utf-8", logfile=log)
    process.log = log
    process.delayafterread = 0.01  # seconds between two looks
    return process


def pseudo_terminal(command, variables, **options):
    """As spawn(), but in a pseudo-terminal (not on Windows); the options are pexpect's."""
    import pexpect

    log, (program, *arguments) = io.StringIO(), command
    options = {"timeout": TIMEOUT, "encoding": "utf-8", "logfile": log, **options}
    process = pexpect.spawn(program, arguments, env=variables, **options)
    process.log = log
    return process


@contextlib.contextmanager
def running_script(script, connection, until, folder=None):
    """Yield a script's process, to expect lines of, once it has printed until; kill it at the end.

    folder: as of processes.command_line().
    """
    variables = processes.variables(connection)
    process = spawn(processes.command_line(script, folder=folder), variables, timeout=300)
    try:
        process.expect_exact(until)
        yield process
    finally:
        kill_and_read(process)


def run_to_end(command, variables, input=b"", cwd=None):
    """Run a command line to its end; return its CompletedProcess, with .out and .err as text.

    variables: its environment, without those that are None. input: bytes.
    """
    env = {name: value for name, value in variables.items() if value is not None}
    options = {"capture_output": True, "timeout": 4 * TIMEOUT}
    result = subprocess.run(command, input=input, env=env, cwd=cwd, **options)
    result.out = result.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
    result.err = result.stderr.decode("utf-8", "replace").replace("\r\n", "\n")
    return result


def interrupt(process):
    """Press Ctrl+C in the process's terminal; return (what it printed since then, exit code).

    Not just after a call, where urllib3 holds a lock (once in some hundred times, the interpreter then
    hangs at its end) and Python drops what is raised in a finalizer. As a person does, press again if
    it does not say that it stops; after "Stopped.", that would kill an interpreter about to end.
    """
    import pexpect
    import pytest

    if os.name == "nt":
        pytest.skip("a process that pexpect starts on Windows is in a group that hears no Ctrl+C")
    time.sleep(0.25)  # half of POLL_INTERVAL
    silent = True
    while silent:
        process.kill(signal.SIGINT)
        silent = process.expect_exact(["topped.", pexpect.TIMEOUT], timeout=TIMEOUT / 3)
    shown = process.before + process.after
    process.expect(pexpect.EOF)
    return (shown + process.before).replace("\r\n", "\n"), process.proc.wait(timeout=TIMEOUT)


def kill_and_read(process):
    """Kill the process if it still runs; return all that it has printed."""
    process.proc.kill()
    process.proc.wait()
    process.read()
    return process.log.getvalue().replace("\r\n", "\n")
