"""A run as a notebook shows it: its state, last metrics, a small curve, and how to go on. Plain HTML, no script."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from raytrain import formatting
from raytrain.clean_text import clean
from raytrain.run.run_status import RunStatus
from raytrain.run.status_words import reason_in_words
from raytrain.run.summary import RunSummary

_COLOURS = {RunStatus.SUCCEEDED: "#188038", RunStatus.FAILED: "#d93025", RunStatus.STOPPED: "#e37400"}
_LINES = ("#1a73e8", "#e8710a")  # of a metric on the train and on the validation rows
_WIDTH, _HEIGHT, _EDGE = 260, 80, 4
_MOST_POINTS = 200
_EPOCHS_SHOWN = 8


def run_html(summary: RunSummary, *, waiting: str = "", notes: Iterable[str] = ()) -> str:
    """The run as one block.

    Args:
        summary: how it stands.
        waiting: what it waits for, in words.
        notes: lines below the picture.
    """
    parts = [_head(summary), _curve(summary), _epochs(summary)]
    likely = [f"likely: {cause.text}" for cause in summary.explanations()]
    parts += [_line(text) for text in (waiting, *likely, *notes, *summary.warnings) if text]
    if summary.error:
        where = f"{summary.error.place}: " if summary.error.place else ""
        parts.append(_line(f"{where}{summary.error.message or summary.error.kind}", colour=_COLOURS[RunStatus.FAILED]))
    if summary.test:
        parts.append(_line(f"test {formatting.metrics(summary.test)}"))
    parts.append(_line(f"next: {_next(summary)}", mono=True))
    return f'<div style="font-size:13px;line-height:1.5">{"".join(filter(None, parts))}</div>'


def _head(summary: RunSummary) -> str:
    colour = _COLOURS.get(summary.status, "#1a73e8")
    why = f" ({reason_in_words(summary.reason)})" if summary.reason else ""
    facts = [f"{len(summary.epochs)} of {summary.epochs_planned} epochs" if summary.epochs_planned else ""]
    if summary.workers:
        facts.append(f"{formatting.plural(summary.workers, 'worker')}, global batch {summary.global_batch_size}")
    if summary.rows:
        facts.append(f"{formatting.count(summary.rows.get('train'))} rows")
    about = " · ".join(filter(None, facts))
    state = f'<span style="color:{colour}">{_text(f"{summary.status}{why}")}</span>'
    return f"<div><b>{_text(summary.run)}</b> {state} <span>{_text(about)}</span></div>"


def _epochs(summary: RunSummary) -> str:
    """The last epochs, counted from 1."""
    names = summary.metric_names()
    if not names:
        return ""
    head = "".join(f"<th>{_text(name)}</th>" for name in ("epoch", *names, "time"))
    rows = []
    for row in summary.epoch_rows()[-_EPOCHS_SHOWN:]:
        cells = [str(row.epoch + 1), *(formatting.metric(row.metrics.get(name)) for name in names)]
        rows.append("".join(f"<td>{_text(cell)}</td>" for cell in (*cells, formatting.seconds(row.epoch_s))))
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _curve(summary: RunSummary) -> str:
    """The loss, and beside it that of the validation rows, against the epoch."""
    rows = summary.epoch_rows()
    name = "loss" if "loss" in summary.metric_names() else next(iter(summary.metric_names()), "")
    lines = {key: [row.metrics.get(key) for row in rows] for key in (name, f"val_{name}")}
    finite = [value for line in lines.values() for value in line if value is not None and math.isfinite(value)]
    if len(rows) < 2 or not finite:
        return ""
    drawn = "".join(
        _polyline(line, colour, min(finite), max(finite)) for line, colour in zip(lines.values(), _LINES, strict=True)
    )
    shown = [
        f'<span style="color:{colour}">{_text(key)}</span>'
        for (key, line), colour in zip(lines.items(), _LINES, strict=True)
        if any(value is not None for value in line)
    ]
    box = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img">{drawn}</svg>'
    limits = f"{formatting.metric(min(finite))} to {formatting.metric(max(finite))}"
    return f"<div>{box}<br/>{' '.join(shown)} {_text(limits)}</div>"


def _polyline(values: Sequence[float | None], colour: str, low: float, high: float) -> str:
    every = max(1, len(values) // _MOST_POINTS)
    points = [(index, value) for index, value in enumerate(values) if value is not None and math.isfinite(value)][
        ::every
    ]
    if not points:
        return ""
    wide, tall = (_WIDTH - 2 * _EDGE) / max(1, len(values) - 1), (_HEIGHT - 2 * _EDGE) / ((high - low) or 1.0)
    placed = " ".join(f"{_EDGE + at * wide:.1f},{_HEIGHT - _EDGE - (value - low) * tall:.1f}" for at, value in points)
    return f'<polyline points="{placed}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _next(summary: RunSummary) -> str:
    run = f'raytrain.get("{summary.run}")'
    if summary.status is RunStatus.SUCCEEDED:
        return f"{run}.model()   {run}.metrics()"
    if summary.status.is_terminal:
        return f"{run}.resume()   {run}.logs()"
    return f"{run}.wait()   {run}.stop()"


def _line(text: str, *, colour: str = "", mono: bool = False) -> str:
    style = f"color:{colour};" * bool(colour) + "font-family:monospace;" * mono
    return f'<div style="{style}white-space:pre-wrap">{_text(text)}</div>'


def _text(text: str) -> str:
    return escape(clean(text))
