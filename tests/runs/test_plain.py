"""Values as plain data, and arrays that come back from a checkpoint as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from recbole_mqsa.runs.plain import convert, pack_leaf, plain, unpack


def test_plain_keeps_data_and_leaves_out_the_rest() -> None:
    given = {
        "device": torch.device("cpu"),
        "score": np.float64(0.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "windows": (1, np.int32(3)),
        "array": np.ones((1, 2)),
        "path": Path("a"),
        "none": None,
        "nested": {"function": print, 2: "two"},
        "list": [print],
    }
    expected = {
        "device": "cpu",
        "score": 0.5,
        "count": 3,
        "flag": True,
        "windows": [1, 3],
        "array": [[1.0, 1.0]],
        "path": "a",
        "none": None,
        "nested": {2: "two"},
    }
    assert plain(given) == expected
    assert [type(value) for value in plain(given).values()] == [type(value) for value in expected.values()]
    with pytest.raises(TypeError, match="has no plain form"):
        plain(print)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    """Through a file in torch's safe mode: the same kinds of arrays, at any depth."""
    dense = np.arange(6.0).reshape(2, 3)
    given = {
        "array": dense,
        "matrix": np.asmatrix(dense),
        "nested": [{"csr": sparse.csr_matrix(dense), "coo": sparse.coo_matrix(dense)}],
        "tensor": torch.arange(3),
        "number": np.float32(0.5),
    }
    torch.save(convert(given, pack_leaf), tmp_path / "file")
    found = unpack(torch.load(tmp_path / "file", weights_only=True))
    assert type(found["array"]) is np.ndarray and type(found["matrix"]) is np.matrix
    for name, matrix in found["nested"][0].items():
        assert matrix.format == name and np.array_equal(matrix.toarray(), dense)
    assert np.array_equal(found["array"], dense) and np.array_equal(found["matrix"], dense)
    assert found["tensor"].tolist() == [0, 1, 2] and found["number"] == 0.5
