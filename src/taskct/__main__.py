"""`python -m taskct` is the command `taskct`."""

from taskct.cli import main

if __name__ == "__main__":
    main()
