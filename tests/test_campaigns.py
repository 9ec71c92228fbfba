"""The campaigns, small, and whether demo and campaign say what a script loses."""

import pytest

from support.scripts import edited
from support.tools import run_tool
from support.topology import PROJECT

CHAOS = "tests/campaigns/chaos.py"


@pytest.mark.slow
def test_kills_and_an_outage_lose_nothing():
    result = run_tool(PROJECT / CHAOS, "--orders", 60, "--kills", 3, "--outages", 1, "--seed", 3)
    assert result.returncode == 0, result.out
    table = {title: int(value) for title, value in result.table.items()}
    assert (table["sent"], table["arrived"], table["lost"]) == (60, 60, 0)
    assert (table["answered"] > 0, table["kills"] > 0, table["outages"]) == (True, True, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "tool, arguments",
    [("tests/demo.py", ""), (CHAOS, "--orders 9 --kills 0 --outages 0")],
)
def test_what_a_filter_loses_is_said(clone, tool, arguments):
    """Filter B deletes an order before it sends it, is as good as killed then, and puts others aside."""
    work = "                handle(msg, output_client, poison_client)\n"
    loses = f"""\
                input_client.delete_message(msg)
                if '"ORD-2"' in msg.content:
                    continue
                poison_client.send_message(msg.content)
{work}                continue
"""
    edited("filter_enrich.py", clone, work, loses)
    orders = [f'{{"order_id": "ORD-{n}", "amount": 1}}\n' for n in range(9)]
    (clone / "tests" / "data" / "orders.jsonl").write_text("".join(orders))
    result = run_tool(clone / tool, *arguments.split())
    assert (result.returncode, result.table["lost"]) == (1, "1"), result.out
