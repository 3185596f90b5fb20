"""Which files stay behind: patterns as in `.gitignore`, and what is never of use on a cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ALWAYS = (".git", ".venv", "__pycache__", ".raytrain")


@dataclass(frozen=True)
class _Rule:
    matches: re.Pattern[str]
    folders_only: bool
    excludes: bool


class Excludes:
    """Patterns of `environment.exclude`, the last that matches wins; those of `ALWAYS` cannot be taken back."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._rules = [rule for pattern in patterns if (rule := _rule(pattern)) is not None]

    def excluded(self, path: str, *, is_folder: bool) -> bool:
        """Whether a file or folder stays behind.

        Args:
            path: relative to the job's folder, with `/` between the parts. Its parents are taken to be included:
                as in git, what lies in an excluded folder cannot be brought back.
        """
        if path.rsplit("/", 1)[-1] in ALWAYS:
            return True
        verdict = False
        for rule in self._rules:
            if (is_folder or not rule.folders_only) and rule.matches.fullmatch(path):
                verdict = rule.excludes
        return verdict


def _rule(pattern: str) -> _Rule | None:
    text = pattern.rstrip()
    if not text or text.startswith("#"):
        return None
    excludes = not text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    expression = _expression(text.lstrip("/"))
    if not anchored:
        expression = f"(?:.*/)?{expression}"
    return _Rule(matches=re.compile(expression, re.DOTALL), folders_only=folders_only, excludes=excludes)


def _expression(glob: str) -> str:
    """A path's glob as a regular expression: `*` and `?` within one name, `**` over any number of folders."""
    parts: list[str] = []
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            parts.append("(?:.*/)?")
            at += 3
        elif glob.startswith("**", at):
            parts.append(".*")
            at += 2
        elif glob[at] == "*":
            parts.append("[^/]*")
            at += 1
        elif glob[at] == "?":
            parts.append("[^/]")
            at += 1
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            inside = glob[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"(?!/)[{'^' + inside[1:] if inside.startswith('!') else inside}]")
            at = end + 1
        else:
            parts.append(re.escape(glob[at]))
            at += 1
    return "".join(parts)
