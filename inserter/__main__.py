"""Run the command line: `python -m inserter`."""

from inserter.cli import main

if __name__ == "__main__":
    main()
