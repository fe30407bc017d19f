"""`python -m inserter` is the command line."""

from inserter.cli import main

if __name__ == "__main__":
    main()
