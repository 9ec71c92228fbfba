"""The scripts as processes, and what they print."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from support.environment import LOCAL
from support.topology import PROJECT, SETTING


def variables(connection):
    """Return the environment of a script for this connection string, whatever the user's own is."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {
        **own,
        **LOCAL,
        SETTING: connection,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "ignore",  # the SDK's packages warn on Python 3.8
    }


def command_line(script, *arguments, folder=PROJECT):
    """Return the command line of a script of the folder."""
    return [sys.executable, str(Path(folder, script)), *map(str, arguments)]


def start_script(script, *arguments, connection, folder=PROJECT, **options):
    """Start a script for a connection string as a process; the options are those of Popen.

    Unless they say otherwise, it has no input, its errors are in its output, both are UTF-8, and
    Ctrl+C does not reach it: that is for the tool, which then stops what it started.
    """
    defaults = {
        "stdin": subprocess.DEVNULL,
        "stderr": subprocess.STDOUT,
        "encoding": "utf-8",
        "errors": "replace",
        "env": variables(connection),
        "start_new_session": True,
    }
    return subprocess.Popen(
        command_line(script, *arguments, folder=folder), **{**defaults, **options}
    )


def order_ids(texts):
    """Return the orders' IDs; for what holds none the text itself."""
    ids = []
    for text in texts:
        try:
            ids.append(json.loads(text)["order_id"])
        except (ValueError, TypeError, KeyError):
            ids.append(text)
    return ids


def said(text, start):
    """Return the rest of each line of the text that begins so."""
    return re.findall(f"^{re.escape(start)}(.*)", text, re.MULTILINE)
