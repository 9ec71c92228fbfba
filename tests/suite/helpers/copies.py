"""Edited copies of the scripts."""

import re
from pathlib import Path

from support.topology import PROJECT

# For edited(): so that no test waits 30 s for a message to come back.
SHORT = ("VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 2")


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
