"""Terminal 0 of the workshop: the emulator that .env.example is made for, until Ctrl+C."""

import argparse
import contextlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # also if PYTHONSAFEPATH is set
from support import emulator, environment

PORT = 10001  # that of .env.example
WAYS_OUT = {  # a word of Azurite's when it does not start: what to do about it
    "EADDRINUSE": "Port {port} is in use. Is Azurite running in another terminal? Use that one,\n"
    "or stop it first; one from elsewhere needs --skipApiVersionCheck.",
    "EACCES": "The system does not give away port {port}. Take another, and put it into .env, too:\n"
    "python tests/azurite.py 20001",
    "JSON": "A data file is broken. Delete this folder; its messages go with it: {folder}",
}


def main():
    """Run Azurite in the foreground; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", nargs="?", type=int, default=PORT, help=f"{PORT} unless given")
    data = Path(sys.prefix, "azurite", "data")
    parser.add_argument("folder", nargs="?", default=data, help="where it keeps its data")
    arguments = parser.parse_args()
    port = arguments.port
    folder = Path(arguments.folder, f"port-{port}")  # two in one would overwrite each other's data
    try:
        process, port = emulator.start_azurite(folder, port)
    except OSError as error:
        print(f"Azurite cannot keep its data in {folder}: {error.strerror}.")
        print(f"Name another folder: python tests/azurite.py {port} FOLDER")
        return 1
    except RuntimeError as error:
        print(error)
        for word, way_out in WAYS_OUT.items():
            if word in str(error):
                print(way_out.format(port=port, folder=folder))
        return 1
    url = f"http://127.0.0.1:{port}"
    with contextlib.suppress(KeyboardInterrupt):
        print(f"Azurite listens on {url}. Leave this terminal open; Ctrl+C stops it.")
        print(f"It keeps its data in {folder}", flush=True)
        while process.poll() is None:  # wait() would hear no interrupt on Windows
            time.sleep(0.5)
    emulator.stop_azurite(process)
    print("Azurite stopped.")
    return process.returncode


if __name__ == "__main__":
    environment.run_tool(main)
