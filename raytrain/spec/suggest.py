"""Puts values and near misses into words for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_KINDS = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    float: "a number",
    dict: "a map",
    list: "a list",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is likely meant; empty when none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean `epochs`?`, or nothing when no known word is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""


def kind_in_words(value: object) -> str:
    """What kind of value YAML has, and not the value."""
    return _KINDS.get(type(value), "null")


def value_in_words(value: object) -> str:
    """A value in a few words, with its kind."""
    match value:
        case None:
            return "nothing (null)"
        case dict():
            return _short(f"a map with {', '.join(map(str, value))}", 70) if value else "an empty map"
        case list():
            return f"a list of {len(value)}" if value else "an empty list"
        case bool():
            return f"{str(value).lower()} ({kind_in_words(value)})"
        case _:
            return f"{_short(repr(value))} ({kind_in_words(value)})"


def _short(text: str, width: int = 50) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
