import math

import pytest

from raytrain import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nan"), (math.nan, "nan"), (math.inf, "nan"), (0, "0.0000"), (0.12345, "0.1235"), (-1.5, "-1.5000"),
        (1e-3, "0.0010"), (9.99e-4, "9.990e-04"), (99999.0, "99999.0000"), (1e5, "1.000e+05"),
    ],
)  # fmt: skip
def test_metric(value: float | None, text: str) -> None:
    assert formatting.metric(value) == text


def test_metrics() -> None:
    assert formatting.metrics({"loss": 0.5, "auc": None}) == "loss=0.5000 auc=nan"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0.414, "0.41s"), (37.64, "37.6s"), (100, "1m40s"), (250, "4m10s"), (7500, "2h05m"),
        (9.999, "10.0s"), (99.99, "1m40s"), (3599.7, "1h00m"),
    ],
)  # fmt: skip
def test_seconds(value: float | None, text: str) -> None:
    assert formatting.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (312, "312 B"), (1023, "1023 B"), (4300, "4.2 KiB"), (1363149, "1.3 MiB"), (5 * 2**40, "5120.0 GiB")],
)
def test_size(value: float, text: str) -> None:
    assert formatting.size(value) == text


def test_counts() -> None:
    assert [formatting.count(value) for value in (None, 0, 1437)] == ["-", "0", "1,437"]
    assert [formatting.plural(value, "epoch") for value in (0, 1, 1000)] == ["0 epochs", "1 epoch", "1,000 epochs"]


def test_moment() -> None:
    assert formatting.moment(None) == "-"
    assert len(formatting.moment(0.0)) == len("1970-01-01 00:00")
