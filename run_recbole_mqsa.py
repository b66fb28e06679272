"""The command line without an installation: ``python run_recbole_mqsa.py --dataset=ml-100k``."""

import sys

from recbole_mqsa.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
