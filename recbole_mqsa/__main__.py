"""``python -m recbole_mqsa`` is the command line."""

import sys

from recbole_mqsa.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
