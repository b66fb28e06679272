"""Where the yaml files lie."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import recbole

from recbole_mqsa.settings import locations

FIND = (
    "import sys; from recbole_mqsa.settings import locations; "
    "print(locations.recbole_folder(), 'recbole' in sys.modules, 'torch' in sys.modules)"
)


def test_our_files_are_there() -> None:
    for file in (locations.overall_file(), locations.model_file("MQSATED"), locations.dataset_file("yelp")):
        assert file.is_file()
    assert not locations.model_file("Nothing").exists()


def test_recbole_is_found_without_importing_it() -> None:
    done = subprocess.run([sys.executable, "-c", FIND], capture_output=True, text=True)
    folder = Path(recbole.__file__).resolve().parent
    assert done.stdout.split() == [str(folder), "False", "False"], done.stderr
    assert locations.recbole_file("model", "SASRec.yaml").is_file()
