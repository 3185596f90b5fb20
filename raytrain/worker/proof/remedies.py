"""What can be computed over all workers' rows instead, where own rows were seen not to be enough.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from raytrain.data.packed import Arrays, bytes_per_row
from raytrain.worker.exact import ways, whole_step
from raytrain.worker.exact.metric_pooling import alike, forget_alike
from raytrain.worker.exact.ways import Reason, Way
from raytrain.worker.proof.own_code import own_layers

_WHOLE = "the whole step"


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """Some losses, metrics, regularizers and layers, or the whole step.

    Attributes:
        model: whose whole step it is.
        row_bytes: what a row of the global batch costs to send in each step; None where that is not known.
    """

    owners: tuple[Any, ...] = ()
    model: keras.Model | None = None
    row_bytes: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.model is not None

    @property
    def names(self) -> list[str]:
        return [_WHOLE] if self.is_whole else [_name(owner) for owner in self.owners]

    def take(self) -> Taken:
        """From the next tracing on, all of it is computed over all rows."""
        taken = Taken(remedy=self, alike_before=tuple(alike()))
        for owner in self.owners:
            ways.overrule(owner, Way.ALL_ROWS)
        if self.model is not None:
            whole_step.use(self.model)
        return taken


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A remedy that has been taken, and what it can be taken back to."""

    remedy: Remedy
    alike_before: tuple[keras.Variable, ...]

    def withdraw(self) -> None:
        for owner in self.remedy.owners:
            ways.withdraw(owner)
        if self.remedy.model is not None:
            whole_step.leave(self.remedy.model)
        forget_alike(but=self.alike_before)


def remedies(
    model: keras.Model, mixing: Sequence[keras.Layer], rows: Arrays, *, may_be_whole: bool
) -> Iterator[Remedy]:
    """Those that may help, the cheaper ones first.

    Args:
        mixing: the layers that were seen to make something else of a row when it comes with other rows.
        rows: some of the run's.
    """
    judging = _judging()
    together = [*mixing, *judging]
    for owners in (mixing, judging, together if mixing and judging else []):
        if owners:
            unique = tuple({id(owner): owner for owner in owners}.values())
            yield Remedy(owners=unique, row_bytes=_row_bytes(unique))
    if may_be_whole:
        yield Remedy(model=model, row_bytes=bytes_per_row(rows))


def named(model: keras.Model, names: Sequence[str], rows: Arrays) -> Remedy | None:
    """The one of these names, which was taken before; None where the names do not tell which it is."""
    if names == [_WHOLE]:
        return Remedy(model=model, row_bytes=bytes_per_row(rows))
    every = {id(owner): owner for owner in (*own_layers(model), *_judging())}
    owners = tuple(owner for owner in every.values() if _name(owner) in names)
    return Remedy(owners=owners) if sorted(_name(owner) for owner in owners) == sorted(names) else None


def _judging() -> list[Any]:
    """The losses, metrics and regularizers that a worker computes from its own rows."""
    return [
        choice.owner
        for choice in ways.choices()
        if choice.way is Way.OWN_ROWS
        and choice.reason is not Reason.OF_KERAS
        and not isinstance(choice.owner, keras.Layer)
    ]


def _row_bytes(owners: Sequence[Any]) -> int | None:
    known = {id(choice.owner): choice.row_bytes for choice in ways.choices()}
    sizes = [known.get(id(owner)) for owner in owners]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _name(owner: Any) -> str:
    kinds = (
        (keras.Layer, "layer"),
        (keras.Operation, "operation"),
        (keras.losses.Loss, "loss"),
        (keras.metrics.Metric, "metric"),
    )
    kind = next((name for base, name in kinds if isinstance(owner, base)), "regularizer")
    return f"{kind} {getattr(owner, 'name', None) or getattr(owner, '__name__', type(owner).__name__)}"
