"""Copies of the project and of its scripts, to run and to edit."""

import re
import shutil
from pathlib import Path

from support.topology import PROJECT, SCRIPTS

# For edited(): so that no test waits 30 s for a message to come back.
SHORT = ("VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 2")
TOP_LEVEL = [*SCRIPTS, "README.md", "README.ja.md", "requirements.txt", "tests", ".env.example"]
TOP_LEVEL += [".ci", ".devcontainer", ".github", ".gitignore", ".pytest.ini", ".ruff.toml"]
TOP_LEVEL += [".gitattributes", ".typos.toml", ".vscode"]


def copy_project(folder):
    """Copy the project's own files into a new folder, and return it; what a participant left is none."""
    Path(folder).mkdir()
    for name in TOP_LEVEL:
        if (PROJECT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(str(PROJECT / name), str(Path(folder, name)), ignore=ignored)
        else:
            shutil.copy(str(PROJECT / name), str(folder))
    return Path(folder)


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
