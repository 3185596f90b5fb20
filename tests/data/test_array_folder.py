"""Arrays in a folder: as they are in memory, without a copy on either side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.data.array_folder import Narrowed, read_arrays, write_arrays
from raytrain.data.packed import leaves
from raytrain.errors import UserCodeError

ROWS: dict[str, Any] = {
    "x": {"b": np.arange(12.0).reshape(6, 2), "a": np.asfortranarray(np.arange(12).reshape(6, 2))},
    "y": (np.arange(6, dtype="uint8"), np.arange(6)[::-1] > 2),
    "w": Narrowed(np.linspace(0, 1, 6), "float32"),
}


def test_structure_types_and_values_come_back(tmp_path: Path) -> None:
    write_arrays(tmp_path / "rows", ROWS)

    x, y, w = read_arrays(tmp_path / "rows")

    assert list(x) == ["b", "a"] and isinstance(y, tuple)
    for ours, given in zip(leaves((x, y)), leaves((ROWS["x"], ROWS["y"])), strict=True):
        assert ours.dtype == given.dtype
        assert (ours == given).all()
    assert w.dtype == np.float32
    assert (w == np.linspace(0, 1, 6).astype("float32")).all()


def test_a_worker_maps_the_files(tmp_path: Path) -> None:
    write_arrays(tmp_path, {"x": ROWS["x"]["b"]})

    [x] = read_arrays(tmp_path)

    assert isinstance(x.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 1.0


def test_a_folder_that_a_node_does_not_see(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match="which this node does not see"):
        read_arrays(tmp_path / "none")


def test_to_hand_over_much_takes_little_memory(tmp_path: Path) -> None:
    """128 MiB, once as they are and once narrowed: less than a fifth of their size, in a process of its own."""
    program = f"""
import resource, numpy as np, pathlib
from raytrain.data.array_folder import Narrowed, write_arrays
array = np.ones((1 << 14, 1 << 10), "float64")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_arrays(pathlib.Path({str(tmp_path)!r}), {{"x": array, "y": Narrowed(array, "float32")}})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / array.nbytes)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert float(done.stdout) <= 0.2
