"""What a run says goes to its folder and the terminal, and the caller's own logging is as it was afterwards."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path

import pytest
from helpers.runs import trained

from recbole_mqsa.runs import logs


def test_messages_go_to_the_log_and_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logs.logging_to(tmp_path, "info") as logger:
        logger.info("\x1b[1;31mred\x1b[0m and plain")
        logger.debug("too much")
        assert logs.tensorboard_folder.get() == tmp_path / "tensorboard"
    logging.getLogger().error("afterwards")
    (line,) = (tmp_path / "run.log").read_text().splitlines()
    assert line.endswith(" INFO red and plain")
    assert capsys.readouterr().err == "red and plain\n"


def test_other_processes_than_the_main_one_tell_errors_only() -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    try:
        with logs.logging_nowhere() as logger:
            logger.warning("a warning")
            logger.error("an error")
            assert logs.tensorboard_folder.get() == logs.NOWHERE
    finally:
        logging.getLogger().removeHandler(handler)
    assert said.getvalue() == "an error\n"


def test_the_callers_logging_is_left_as_it_was(home: Path) -> None:
    logger = logging.getLogger()
    before = logger.level, list(logger.handlers), logs.tensorboard_folder.get()
    trained(home, "mine", model="Pop")
    assert (logger.level, list(logger.handlers), logs.tensorboard_folder.get()) == before


def test_only_what_recbole_cannot_help_is_quiet() -> None:
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with logs.quiet():
            for module in ("recbole.data.dataset", "recbole_mqsa.data.dataset", "mine"):
                warnings.warn_explicit("soon", FutureWarning, f"{module}.py", 1, module=module)
            warnings.warn_explicit("now", UserWarning, "x.py", 1, module="recbole.trainer")
    assert [str(warning.message) for warning in caught] == ["soon", "soon", "now"]
    assert warnings.filters == before
