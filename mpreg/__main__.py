"""`python -m mpreg` is the `mpreg` command."""

from mpreg.cli import main

if __name__ == "__main__":
    main()
