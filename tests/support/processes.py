"""The scripts as processes, and what they print."""

import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support.environment import LOCAL
from support.topology import PROJECT, SCRIPTS, SETTING


def variables(connection):
    """Return the environment of a script for this connection string, whatever the user's own is."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    own.update(LOCAL, PYTHONIOENCODING="utf-8")
    own["PYTHONWARNINGS"] = "ignore"  # the SDK's packages warn on Python 3.8
    return {**own, SETTING: connection}


@functools.lru_cache(maxsize=None)
def private_copies():
    """Return a folder with copies of the scripts and an empty .env, removed when this process ends.

    There a script does not find the user's .env, which it looks for in its folder and all above.
    """
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for script in SCRIPTS:
        shutil.copy(str(PROJECT / script), folder)
    Path(folder, ".env").touch()
    return folder


def command_line(script, *arguments, folder=None):
    """Return the command line of a script of the folder; without one, of its private copy, or of a tool."""
    folder = folder or (private_copies() if script in SCRIPTS else PROJECT)
    return [sys.executable, str(Path(folder, script)), *map(str, arguments)]


def start_script(script, *arguments, connection):
    """Start a script for a connection string as a process without input; its errors are in its output.

    On POSIX, Ctrl+C does not reach it: the tool hears it, and stops what it started.
    """
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    options.update(encoding="utf-8", errors="replace", start_new_session=True)
    command = command_line(script, *arguments)
    return subprocess.Popen(command, env=variables(connection), **options)


def order_ids(texts):
    """Return of each text the ID of the order in it; the text itself if it holds none."""
    return [(re.findall(r'"(ORD-\w+)"', text) or [text])[0] for text in texts]


def said(text, start):
    """Return the rest of each line of the text that begins so."""
    return re.findall(f"^{re.escape(start)}(.*)", text, re.MULTILINE)
