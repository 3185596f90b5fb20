"""Short words for a job's model and data, for people who read a job's metadata on the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raytrain.spec.job import JobSpec
    from raytrain.spec.source_kinds import Source

_LONGEST = 200


def model_words(spec: JobSpec) -> str:
    """`python: model.py:build_model`, `layers: Input, Dense, Dense`, …"""
    kind, value = spec.model.kind, spec.model.value
    if kind == "layers":
        value = ", ".join(next(iter(layer)) for layer in value)
    return _cut(f"{kind}: {value}")


def data_words(spec: JobSpec) -> str:
    """`sklearn: digits`, `csv: a.csv, b.csv`, `images: pictures`, `sql: SELECT …`, `inline`, …"""
    return source_words(spec.data.train)


def source_words(source: Source) -> str:
    """A source as `data_words` tells of it."""
    if source.kind == "inline":
        return "inline"
    return _cut(f"{source.kind}: {_listed(source.value)}")


def _listed(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(map(str, value.values()))
    for name in ("path", "table", "query"):
        if (part := getattr(value, name, None)) is not None:
            return _listed(part.value if hasattr(part, "kind") else part)
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
