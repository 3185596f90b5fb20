"""Tables as lines."""

from __future__ import annotations

from raytrain.cli.display.columns import columns


def test_columns_align_and_numbers_stand_to_the_right() -> None:
    assert columns(["run", "loss"], [["a", "0.1234"], ["longer", "10.5"]]) == [
        "run       loss",
        "a       0.1234",
        "longer    10.5",
    ]


def test_columns_keep_one_line_a_row() -> None:
    assert columns(["run"], [["two\nlines\x1b[2J"]]) == ["run", "two lines"]
