"""Terminal 0 of the workshop: the emulator that .env.example is made for, until Ctrl+C.

python tests/azurite.py [PORT [FOLDER]]    FOLDER is where it keeps its data
"""

import sys
from pathlib import Path

from support import emulator, environment

PORT = 10001


def main():
    """Run Azurite in the foreground; return the exit code."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else Path(sys.prefix, "azurite", "data"))
    try:
        process, port = emulator.start(folder, port)
    except RuntimeError as error:
        if "EADDRINUSE" in str(error):
            print(f"Port {port} is in use. Is Azurite running in another terminal? Use that one,")
            print("or stop it first; one from elsewhere needs --skipApiVersionCheck.")
        else:
            print(f"Azurite did not start: {error}")
        return 1
    try:
        print(
            f"Azurite listens on http://127.0.0.1:{port}. Leave this terminal open; Ctrl+C stops it."
        )
        print(f"It keeps its data in {folder}", flush=True)
        process.wait()
        print(f"Azurite ended by itself, with exit code {process.returncode}.")
        return 1
    except KeyboardInterrupt:
        print("Azurite stopped.")
        return 0
    finally:
        emulator.stop(process)


if __name__ == "__main__":
    environment.run(main)
