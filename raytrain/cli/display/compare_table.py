"""Runs beside each other, as lines: a column a run where they fit, else a block a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raytrain import formatting
from raytrain.cli.display.columns import columns
from raytrain.client.comparison import ComparedRun, Comparison, Value

_LONGEST, _LETTERS = 40, 26


def compare_lines(found: Comparison, *, width: int) -> list[str]:
    """Lines of at most `width` letters, as far as names are not longer."""
    letters = [
        chr(ord("A") + number) if len(found.runs) <= 26 else f"R{number + 1}" for number in range(len(found.runs))
    ]
    legend = [f"{letter}  {run.run}" for letter, run in zip(letters, found.runs, strict=True)]
    outcome = [[name, *values] for name, values in _outcome(found.runs)]
    lines = [*legend, "", *_table("", letters, outcome, width)]
    for kind in dict.fromkeys(item.kind for item in found.differences):
        rows = [[item.what, *map(_word, item.values)] for item in found.differences if item.kind == kind]
        lines += ["", *_table(f"{kind} differs", letters, rows, width)]
    if not found.differences:
        lines += ["", "spec, code, versions and data are the same"]
    return lines


def _outcome(runs: Sequence[ComparedRun]) -> Iterator[tuple[str, list[str]]]:
    """What a table of outcomes has in its rows; only what some run has."""
    yield "status", [run.status for run in runs]
    yield "reason", [run.reason or "-" for run in runs]
    yield "workers", [str(run.workers or "-") for run in runs]
    yield "epochs", [str(run.epochs) for run in runs]
    for name in dict.fromkeys(name for run in runs for name in run.last):
        yield name, [_figure(run.last, name) for run in runs]
    yield "best", [_best(run) for run in runs]
    for name in dict.fromkeys(name for run in runs for name in run.test or {}):
        yield f"test {name}", [_figure(run.test or {}, name) for run in runs]
    yield "an epoch", [formatting.seconds(run.epoch_s) for run in runs]
    yield "in all", [formatting.seconds(run.total_s) for run in runs]


def _figure(values: object, name: str) -> str:
    assert isinstance(values, dict)
    return formatting.metric(values[name]) if name in values else "-"


def _best(run: ComparedRun) -> str:
    if run.best is None:
        return "-"
    return f"{run.best['monitor']} {formatting.metric(run.best['value'])} ({run.best['epoch'] + 1})"


def _word(value: Value) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _table(head: str, letters: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A column a run; where that is too wide, a line a value."""
    beside = columns([head, *letters], rows)
    if max(map(len, beside)) <= width:
        return beside
    lines = [head] if head else []
    for name, *values in rows:
        lines += [name, *(f"  {letter}  {value}" for letter, value in zip(letters, values, strict=True))]
    return lines
