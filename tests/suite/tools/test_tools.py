"""The test command."""

from suite.helpers.runs import run_tool
from support.topology import PROJECT

RUN = PROJECT / "tests" / "run.py"


def test_run_passes_its_arguments_and_exit_code_on(tmp_path):
    result = run_tool(RUN, "-n", 0, "--noconftest", "tests/run.py", cwd=tmp_path)
    assert result.returncode == 5, result.out  # there is no test in this file
