"""Where each field of a spec was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from raytrain.errors import Problem

Loc = tuple[str | int, ...]


def dotted(loc: Loc) -> str:
    """`("preprocess", 0, "scale")` as `preprocess.0.scale`."""
    return ".".join(str(part) for part in loc)


class LineNumbers:
    """Where each field was written: a file and a line, or a `--set` argument."""

    def __init__(self, file: str, lines: Mapping[Loc, int]) -> None:
        self._places: dict[Loc, tuple[str, int]] = {loc: (file, line) for loc, line in lines.items()}
        self._places.setdefault((), (file, 1 if file else 0))

    def of(self, loc: Loc | str) -> tuple[str, int]:
        """File and line of a field (`("data", "train")` or `"data.train"`), or of the nearest one around it."""
        if isinstance(loc, str):
            loc = tuple(int(part) if part.isdigit() else part for part in loc.split(".") if part)
        while loc not in self._places:
            loc = loc[:-1]
        return self._places[loc]

    def located(self, problem: Problem, loc: Loc | str) -> Problem:
        """A field's problem, with where it was written, but for one that names a file of its own."""
        field = loc if isinstance(loc, str) else dotted(loc)
        if problem.file:
            return replace(problem, field=field)
        file, line = self.of(loc)
        return replace(problem, field=field, file=file, line=line)

    def line(self, loc: Loc | str) -> int:
        return self.of(loc)[1]

    def overridden(self, loc: Loc, file: str, line: int = 0) -> None:
        """Says that the field, and all below it, was written elsewhere."""
        for known in [known for known in self._places if known[: len(loc)] == loc]:
            del self._places[known]
        self._places[loc] = (file, line)
