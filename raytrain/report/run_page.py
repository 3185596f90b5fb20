"""A run as one HTML page that holds all it needs: no script, no file beside it, no network."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from raytrain import __version__, formatting
from raytrain.report.chart import Chart, charts
from raytrain.report.glance import did_it_learn, how_long, what_next, why_it_stopped
from raytrain.report.history import History
from raytrain.report.job_files import JobFiles
from raytrain.report.spec_text import spec_text
from raytrain.report.templating import templates, utc
from raytrain.report.thinning import thin
from raytrain.run.accounting import Spent
from raytrain.run.epoch_row import EpochRow
from raytrain.run.status_words import answer_in_words, next_commands
from raytrain.run.summary import RunSummary
from raytrain.spec.equivalence import promise
from raytrain.spec.job import JobSpec
from raytrain.spec.tier_choice import Tier

_MOST_EPOCHS = 40
_MOST_RANKS = 256
_GROUPS = {
    "training": (Spent.TRAINING,),
    "waiting": (Spent.ROWS, Spent.ROOM, Spent.AWAY),
    "lost": (Spent.LOST, Spent.RESTARTS),
    "saving": (Spent.CHECKPOINTS, Spent.ENDING, Spent.PROOF, Spent.BETWEEN),
}


@dataclass(frozen=True, kw_only=True)
class RankLine:
    """A rank's row: shares from 0 to 1, of all ranks' time for `bar`."""

    rank: int
    node: str
    rows: int | None
    epochs: int
    epoch_s: float
    rows_per_s: float
    wait_share: float


def run_page(summary: RunSummary, history: History, files: JobFiles, *, now: float, nonce: str = "") -> str:
    """The page.

    Args:
        summary: how the run stands.
        history: of the same events.
        files: how it was submitted.
        now: the moment of writing, seconds since the epoch.
        nonce: of the response with which a server sends the page, which then renews itself; empty for a file.
    """
    rows = summary.epoch_rows()
    best = summary.best.epoch if summary.best else None
    drawn: list[Chart] = charts(rows, best)
    return (
        templates()
        .get_template("run.html")
        .render(
            nonce=nonce,
            summary=summary,
            history=history,
            now=now,
            version=__version__,
            glance={
                "Did it learn?": did_it_learn(summary),
                "How long did it take?": how_long(summary, now),
                "Why did it stop?": why_it_stopped(summary),
            },
            causes=summary.explanations(),
            advice=what_next(summary),
            commands=next_commands(summary),
            charts=drawn,
            epochs=_shown(rows, best),
            metric_names=summary.metric_names()[:8],
            best=best,
            spent=_spent(history),
            ranks=_ranks(history)[:_MOST_RANKS],
            ranks_left_out=max(0, len(history.ranks) - _MOST_RANKS),
            environment=_environment(summary, history, files),
            spec=spec_text(files.spec) if files.spec else "",
            again=_again(summary, files),
            promise=_promise(files, history),
            answer=answer_in_words(summary.answer),
            link=_link(summary.dashboard_url),
        )
    )


def _shown(rows: Sequence[EpochRow], best: int | None) -> list[EpochRow]:
    """The epochs of the table: of many, some of all stretches, the best and the last ones."""
    chosen = {int(epoch) for epoch, _ in thin([(row.epoch, row.metrics.get("loss")) for row in rows], _MOST_EPOCHS)}
    chosen |= {row.epoch for row in rows[-3:]} | {best}  # type: ignore[arg-type]
    return [row for row in rows if row.epoch in chosen]


def _spent(history: History) -> list[tuple[str, str, float, float]]:
    """Words, the kind that colours go by, seconds, and share of the whole."""
    kinds = {spent: kind for kind, members in _GROUPS.items() for spent in members}
    shares = history.accounting.shares()
    return [
        (str(spent), kinds.get(spent, "starting"), history.accounting.seconds[spent], share)
        for spent, share in shares.items()
    ]


def _ranks(history: History) -> list[RankLine]:
    train = history.splits.get("train")
    dealt = list(train.rows_per_worker) if train else []
    return [
        RankLine(
            rank=rank,
            node=history.places[rank].node if rank < len(history.places) else "",
            rows=dealt[rank] if rank < len(dealt) else None,
            epochs=times.epochs,
            epoch_s=times.seconds / times.epochs,
            rows_per_s=times.rows / times.seconds if times.seconds else 0.0,
            wait_share=min(1.0, times.waited_s / times.seconds) if times.seconds else 0.0,
        )
        for rank, times in sorted(history.ranks.items())
    ]


def _environment(summary: RunSummary, history: History, files: JobFiles) -> dict[str, str]:
    """What it ran on and with; what is unknown is left out."""
    request = files.request
    client = {name: value for name, value in (request.client if request else {}).items() if value}
    scaling = request.spec.scaling if request else None
    listed = {
        "storage": summary.storage,
        "submitted": utc(summary.submitted_at),
        "workers": str(summary.workers or ""),
        "each with": f"{scaling.cpus_per_worker:g} CPU, {scaling.gpus_per_worker:g} GPU" if scaling else "",
        "nodes": ", ".join(dict.fromkeys(place.node for place in history.places)),
        "on the workers": _listed(history.versions),
        "on the submitting machine": _listed(client),
        "git commit of the job": (request.commit if request else None) or "",
        "parameters": formatting.count(summary.parameters) if summary.parameters is not None else "",
        "checkpoints": f"{history.checkpoints} saved, {formatting.seconds(history.checkpoint_s)} of writing",
        "model": summary.model,
    }
    return {name: value for name, value in listed.items() if value}


def _listed(versions: dict[str, str] | dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _again(summary: RunSummary, files: JobFiles) -> list[str]:
    """The commands that train it once more from what its directory keeps."""
    request = files.request
    if request is None or not summary.storage:
        return []
    if not request.spec_file:
        return [f"raytrain submit {shlex.quote(summary.storage + '/spec.json')}"]
    job = f"{request.spec.name}-again"
    overrides = "".join(f" --set {shlex.quote(item)}" for item in request.overrides)
    return [
        f"unzip {shlex.quote(summary.storage + '/job.zip')} -d {job}",
        f"raytrain submit {shlex.quote(f'{job}/{request.spec_file}')}{overrides}",
    ]


def _promise(files: JobFiles, history: History) -> str:
    spec: JobSpec | None = files.request.spec if files.request else None
    tiers: dict[str, Tier] = {"shared": "shared", "sharded": "sharded", "streaming": "streaming"}
    return promise(spec, tiers.get(history.tier)) if spec else ""


def _link(url: str | None) -> str:
    """The address where it is one that a browser may be sent to."""
    return url if url and url.startswith(("http://", "https://")) else ""
