"""Run the command line: `python -m inserter`."""

from inserter.cli import start

if __name__ == "__main__":
    start()
