"""The campaigns, small, and whether demo and campaign say what a script loses."""

import pytest

from support.scripts import edited
from support.tools import run_tool
from support.topology import PROJECT

CHAOS = "tests/campaigns/chaos.py"


@pytest.mark.slow
def test_kills_and_an_outage_lose_nothing():
    result = run_tool(PROJECT / CHAOS, "--orders", 100, "--kills", 4, "--outages", 1, "--seed", 3)
    assert result.returncode == 0, result.stdout
    table = {title: int(value) for title, value in result.table.items()}
    assert (table["sent"], table["arrived"], table["lost"]) == (100, 100, 0)
    assert table["answered"] > 0
    assert (table["kills"] > 1, table["outages"]) == (True, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "order, tool, arguments",
    [("ORD-1002", "tests/demo.py", ""), ("ORD-2", CHAOS, "--orders 9 --kills 0 --outages 0")],
)
def test_what_a_filter_loses_is_said(clone, order, tool, arguments):
    """Filter B deletes an order before it sends it, ends there once, and puts aside all others."""
    handle = "handle(msg, output_client, poison_client)\n"
    loses = f"""input_client.delete_message(msg)
                if '"{order}"' in msg.content:
                    continue
                poison_client.send_message(msg.content)
                {handle}                continue
"""
    edited("filter_enrich.py", clone, f"                {handle}", f"                {loses}")
    result = run_tool(clone / tool, *arguments.split())
    assert (result.returncode, result.table["lost"]) == (1, "1"), result.stdout


@pytest.mark.slow
def test_the_benchmark_measures_each_row_and_says_which_goal_is_missed():
    path = PROJECT / "tests" / "campaigns" / "benchmark.py"
    result = run_tool(path, "--rounds", 1, "--orders", 8, "--seconds", 1)
    assert result.stdout.count("(") == 10, result.stdout
    assert result.returncode == ("MISSED" in result.stdout)
