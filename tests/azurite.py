"""Terminal 0 of the workshop: the emulator that .env.example is made for, until Ctrl+C.

python tests/azurite.py
"""

import sys
import time
from pathlib import Path

import environment

PORT = 10001


def main():
    """Run Azurite in the foreground; return the exit code."""
    import emulator

    folder = Path(sys.prefix, "azurite", "data")
    try:
        process, _ = emulator.start(folder, PORT)
    except RuntimeError as error:
        if "EADDRINUSE" in str(error):
            print(f"Port {PORT} is in use. Is Azurite running in another terminal? Use that one,")
            print("or stop it first; one from elsewhere needs --skipApiVersionCheck.")
        else:
            print(f"Azurite did not start: {error}")
        return 1
    try:
        print(f"Azurite listens on http://127.0.0.1:{PORT}. Leave this terminal open; Ctrl+C stops it.")
        print(f"Its data outlive it, in {folder}", flush=True)
        while process.poll() is None:
            time.sleep(0.2)
        print(f"Azurite ended by itself, with exit code {process.returncode}.")
        return 1
    except KeyboardInterrupt:
        print("Azurite stopped.")
        return 0
    finally:
        emulator.stop(process)


if __name__ == "__main__":
    try:
        environment.enter()
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
