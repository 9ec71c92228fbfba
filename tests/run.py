"""Run the test suite: python tests/run.py [pytest arguments]"""

import os
import subprocess
import sys

import environment

# More workers than cores, for most tests wait.
DEFAULTS = ["-n", "4", "--dist", "worksteal", "-q", "-p", "no:cacheprovider"]


def main():
    """Run pytest with the arguments of the command line; return its exit code."""
    tests = str(environment.PROJECT / "tests")
    variables = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    variables["HYPOTHESIS_STORAGE_DIRECTORY"] = os.path.join(sys.prefix, "hypothesis")
    command = [sys.executable, "-m", "pytest", "--rootdir", tests, *DEFAULTS, *sys.argv[1:]]
    if not any(os.path.exists(argument.split("::")[0]) for argument in sys.argv[1:]):
        command.append(tests)
    return subprocess.run(command, env=variables, check=False).returncode


if __name__ == "__main__":
    environment.run(main)
