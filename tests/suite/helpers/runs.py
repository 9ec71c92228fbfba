"""Scripts and tools that are run to their end."""

import os
import subprocess
import sys


def run_to_end(command, variables, input=None, cwd=None):
    """Run a command line to its end; return its CompletedProcess, with .out and .err as text.

    variables: its environment, without those that are None. input: bytes, none if not given.
    """
    result = subprocess.run(
        command,
        input=input or b"",
        capture_output=True,
        env={name: value for name, value in variables.items() if value is not None},
        cwd=cwd,
        timeout=280,
    )
    result.out = result.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
    result.err = result.stderr.decode("utf-8", "replace").replace("\r\n", "\n")
    return result


def run_tool(path, *arguments, cwd=None, **changes):
    """Run a tool to its end; return what run_to_end() does. changes: variables; None removes one."""
    command = [sys.executable, str(path), *map(str, arguments)]
    result = run_to_end(command, {**os.environ, **changes}, cwd=cwd)
    assert "Traceback" not in result.err, result.err
    return result
