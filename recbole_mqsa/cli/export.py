"""Write a trained run as a file that other programs run: ONNX or torch.export, with item names and weights."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from .parser import Parser
from .values import one_of


def add_options(parser: Parser) -> None:
    """Which run, in which format, and where."""
    parser.option("run", "FOLDER", "The folder of a trained run.", kind=Path)
    parser.option(
        "format",
        "NAME",
        "'onnx', 'torch' (torch.export), or 'weights' for nothing but weights and names; onnx by default.",
        one_of("onnx", "torch", "weights"),
        "onnx",
    )
    parser.option(
        "output", "FOLDER", "A new folder for the files; by default export in the run's.", kind=Path
    )
    parser.option("data_path", "FOLDER", "The folder of data sets, if the run's data have moved.")
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Write it, and say how far its scores are from the run's."""
    if given.run is None:
        raise UserError("export needs --run, as in --run=runs/shop --format=onnx")

    from ..export.write import check_export, export
    from ..training.run import read_run

    output = given.output or given.run / "export"
    found = read_run(given.run, given.data_path)
    check_export(given.format, output)
    about = export(found, output, given.format)
    checked = f"; its scores are the run's to {about['largest_difference']:.1e}" if "file" in about else ""
    print(f"{output}: {about['model']} on {about['dataset']}, {about['items']:,} items{checked}")
    return 0
