"""The campaigns, small, and whether demo and campaign say what a script loses."""

import pytest

from support.tools import run_tool
from support.topology import PROJECT, READY

# A Filter B that deletes an order before it sends it on, and then puts it aside, too.
LOSER = f"""
import contextlib, os, time
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient
service = QueueServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
names = ("queue-enrich", "queue-finalize", "queue-enrich-poison")
source, target, poison = queues = [service.get_queue_client(name) for name in names]
for queue in queues:
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
print("{READY["filter_enrich.py"]}", flush=True)
while True:
    for msg in source.receive_messages(messages_per_page=32):
        source.delete_message(msg)
        time.sleep(0.1)
        target.send_message(msg.content)
        poison.send_message(msg.content)
    time.sleep(0.1)
"""


def chaos(project, *arguments):
    """Run the campaign of a copy of the project."""
    return run_tool(project / "tests" / "campaigns" / "chaos.py", *arguments)


@pytest.mark.slow
def test_kills_and_an_outage_lose_nothing():
    arguments = ["--orders", "200", "--kills", "10", "--outages", "1", "--seed", "3"]
    result = chaos(PROJECT, *arguments)
    assert result.returncode == 0, result.stdout
    table = {title: int(value) for title, value in result.table.items()}
    assert (table["sent"], table["arrived"], table["lost"]) == (200, 200, 0)
    assert table["answered wrongly"] == 0
    assert table["answered"] > 0
    assert (table["kills"] > 4, table["outages"]) == (True, 1)


@pytest.mark.slow
def test_the_campaign_says_what_a_filter_loses(clone):
    (clone / "filter_enrich.py").write_text(LOSER)
    result = chaos(clone, "--orders", "60", "--kills", "10", "--outages", "0", "--seed", "3")
    assert result.returncode == 1
    assert int(result.table["lost"]) > 0, result.stdout
    assert "\nLost: ORD-" in result.stdout


def test_the_demo_says_what_a_filter_loses(clone):
    forgets = LOSER.replace("time.sleep(0.1)", "if 'ORD-1002' in msg.content: continue", 1)
    (clone / "filter_enrich.py").write_text(forgets)
    result = run_tool(clone / "tests" / "demo.py")
    assert result.returncode == 1
    assert (result.table["sent"], result.table["lost"]) == ("121", "1"), result.stdout


def test_growth_of_memory_is_measured():
    result = chaos(PROJECT, "--orders", "50", "--growth")
    assert -50 < int(result.table["growth in per cent"]) < 50, result.stdout


@pytest.mark.slow
def test_the_benchmark_measures_each_row_and_says_which_goal_is_missed():
    path = PROJECT / "tests" / "campaigns" / "benchmark.py"
    result = run_tool(path, "--rounds", 1, "--orders", 8, "--seconds", 0.5)
    rows = [line.split("|")[1:-1] for line in result.stdout.splitlines() if line.startswith("| ")]
    del rows[1]  # the line under the titles
    reached = [row[-1].strip() for row in rows]
    assert (reached[0], len(rows)) == ("reached", 9), result.stdout
    assert set(reached[1:]) <= {"yes", "NO", ""}
    assert reached.count("") == 3  # the copies and the calls, which have no goal
    assert result.returncode == ("NO" in reached)
    assert all(float(row[1].split()[0]) > 0 for row in rows[1:])
