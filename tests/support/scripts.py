"""The scripts as processes, and edited copies of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

from support.environment import LOCAL
from support.topology import NAME, PROJECT

# For edited(): so that no test waits 30 s for a message to come back.
SHORT = ("VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 2")


def variables(connection):
    """Return the environment of a script for this connection string, whatever the user's own is."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {
        **own,
        **LOCAL,
        NAME: connection,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "ignore",  # the SDK's packages warn on Python 3.8
    }


def command(script, *arguments, folder=PROJECT):
    """Return the command line of a script of the folder."""
    return [sys.executable, str(Path(folder, script)), *map(str, arguments)]


def start(script, *arguments, connection, folder=PROJECT, **options):
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
    return subprocess.Popen(command(script, *arguments, folder=folder), **{**defaults, **options})


def edited(script, folder, *changes):
    """Put a copy of the script into the folder, or take the one there, and edit it; return the folder.

    changes: old, new, old, new ...; each old must stand once in the text, else AssertionError.
    """
    path = Path(folder, script)
    text = (path if path.exists() else PROJECT / script).read_text(encoding="utf-8")
    for old, new in zip(changes[::2], changes[1::2]):
        assert text.count(old) == 1, f"{text.count(old)} times in {script}: {old}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return Path(folder)


def hunks(diff):
    """Return the changes of a diff as a list for edited(): old, new, old, new ...; "@@" parts them."""
    changes = []
    for hunk in re.split(r"^@@.*\n", diff, flags=re.M):
        lines = [line or " " for line in hunk.splitlines()]
        for sign in "-+":
            changes.append("\n".join(line[1:] for line in lines if line[0] in " " + sign))
    return changes
