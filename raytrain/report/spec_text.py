"""The resolved job as YAML that a person reads: what is not given left out, what is long cut."""

from __future__ import annotations

from typing import Any

import yaml

_MOST_ITEMS, _LONGEST, _MOST_LETTERS = 20, 400, 60_000


def spec_text(spec: Any) -> str:
    """YAML of `spec.json`'s content."""
    text: str = yaml.safe_dump(_short(spec), sort_keys=False, allow_unicode=True, width=100)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}\n…"


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _short(item) for key, item in value.items() if item is not None}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        items = [_short(item) for item in value[:_MOST_ITEMS]]
        return [*items, f"… {len(value) - _MOST_ITEMS:,} more"] if len(value) > _MOST_ITEMS else items
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}…"
    return value
