"""`python -m mpreg` is the `mpreg` command."""

from mpreg.cli.main import main

if __name__ == "__main__":
    main()
