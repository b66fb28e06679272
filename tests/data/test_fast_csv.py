"""A look at every line, against Python's own reading of text. What is read is in ``test_fast_dataset``."""

from __future__ import annotations

import pytest

from recbole_mqsa.data.fast_csv import look


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 24])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_text_is_read(tmp_path, block, end):
    path = tmp_path / "lines"
    lines = [*(f"é{number}\tb\tc" for number in range(30)), "", "a\tb"]
    path.write_bytes(end.join(lines).encode())
    assert look(path, "\t", 3, "utf-8", block).count == 32
    assert look(path, "\t", 2, "utf-8", block).first_overfull == 1
    path.write_bytes(end.join([*lines, "a\tb\tc\td", "a\tb\tc\td\te"]).encode())
    assert look(path, "\t", 3, "utf-8", block).first_overfull == 33
    path.write_bytes(end.join([*lines, "a\tb\tc\xfc"]).encode("latin-1"))
    with pytest.raises(UnicodeError):
        look(path, "\t", 3, "utf-8", block)
