"""Makes HTML of templates: whatever is put into them is text, escaped, without what turns words around."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from raytrain import formatting
from raytrain.clean_text import clean

TEMPLATES = Path(__file__).parent / "templates"


@functools.cache
def templates(*folders: Path) -> jinja2.Environment:
    """The templates of the page, and of other folders, which come first."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    filters: dict[str, Callable[..., str]] = {
        "seconds": formatting.seconds,
        "metric": formatting.metric,
        "metrics": formatting.metrics,
        "count": formatting.count,
        "percent": lambda share: f"{share:.1%}",
        "utc": utc,
        "codes": _codes,
    }
    environment.filters.update(filters)
    return environment


def utc(moment: float | None) -> str:
    """`2026-11-20 07:15:00 UTC` of seconds since the epoch."""
    if not moment:
        return "unknown"
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _finalize(value: Any) -> Any:
    """Takes out of every text what turns words around or is invisible; escaping follows."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _codes(text: str) -> Markup:
    """The text, what stands in backticks as code."""
    parts = [escape(clean(part)) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))
