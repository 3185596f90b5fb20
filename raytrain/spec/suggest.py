"""Puts values and near misses into words for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean `epochs`?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def shown(value: object) -> str:
    """A value in a few words, with its kind."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return f"{str(value).lower()} (true or false)"
        case str():
            return f"{_short(repr(value))} (a string)"
        case int():
            return f"{_short(str(value))} (a whole number)"
        case float():
            return f"{value!r} (a number)"
        case dict():
            keys = ", ".join(map(str, value))
            return _short(f"a map with {keys}", 70) if keys else "an empty map"
        case list():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return f"a {type(value).__name__}"


def _short(text: str, width: int = 50) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
