"""``python -m lbi`` is ``lbi``."""

from lbi.cli.app import main

if __name__ == "__main__":
    main()
