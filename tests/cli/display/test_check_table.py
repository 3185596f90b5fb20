"""The table of a check."""

from __future__ import annotations

import json

import pytest

from raytrain.check_protocol import Comparison, Quantity, Verdict
from raytrain.cli.display.check_table import conclusion, print_report
from raytrain.cli.output import Output
from raytrain.client.check import CheckReport

EQUAL, NOISE, DIFFERS = Verdict.EQUAL, Verdict.NOISE, Verdict.DIFFERS


def report(*quantities: tuple[str, str, float | None, Verdict], workers: int = 2) -> CheckReport:
    found = Comparison(
        steps=8,
        rows={"train": 1253, "test": 180},
        quantities=tuple(
            Quantity(kind=kind, name=name, difference=size, verdict=verdict) for kind, name, size, verdict in quantities
        ),
        set_aside=("dropout",),
    )
    return CheckReport(name="digits", file="job.yaml", workers=workers, comparison=found, warnings=("careful",))


def test_what_is_equal_takes_a_line_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    gradients = [("gradient", f"dense_{number}/kernel", number * 1e-8, EQUAL) for number in range(30)]
    print_report(report(("result", "loss", 3e-8, EQUAL), ("variable", "bias", 1.0, NOISE), *gradients), Output())
    shown, said = capsys.readouterr()
    assert shown.splitlines() == [
        "what                       largest difference  verdict",
        "loss                                    3e-08  equal",
        "variable bias                           1e+00  noise: rounding alone makes as much of it",
        "gradients of 30 variables               3e-07  equal",
        "digits: 2 workers give the answer of one process, in 8 steps (1,253 train, 180 test rows); set aside: dropout",
    ]
    assert said == "warning: careful\n"


def test_what_differs_is_named_but_not_without_end(capsys: pytest.CaptureFixture[str]) -> None:
    gradients = [("gradient", f"dense_{number}/kernel", None, DIFFERS) for number in range(30)]
    print_report(report(*gradients), Output())
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["gradient", "dense_0/kernel", "-", "differs"]
    assert lines[-2].split() == ["10", "more", "-", "differs"]
    assert "2 workers do not give the answer of one process" in lines[-1]


@pytest.mark.parametrize(
    ("workers", "verdict", "words"),
    [
        (1, EQUAL, "1 worker gives the answer of one process"),
        (1, DIFFERS, "1 worker does not give the answer of one process"),
        (3, Verdict.CANNOT_REPEAT, "3 workers cannot be held against one process"),
    ],
)
def test_the_conclusion(workers: int, verdict: Verdict, words: str) -> None:
    assert conclusion(report(("result", "loss", 1.0, verdict), workers=workers)).startswith(f"digits: {words}")


def test_json_has_no_number_that_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(report(("result", "loss", None, DIFFERS)), Output(json=True))
    body = json.loads(capsys.readouterr().out)
    assert (body["verdict"], body["largest"], body["workers"], body["steps"]) == ("differs", None, 2, 8)
    assert body["quantities"] == [{"kind": "result", "name": "loss", "difference": None, "verdict": "differs"}]
    assert (body["set_aside"], body["warnings"]) == (["dropout"], ["careful"])
