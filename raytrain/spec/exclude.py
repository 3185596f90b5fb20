"""Which files stay behind: patterns as in `.gitignore`, and what is never of use on a cluster.

It stands in `spec` because both ask it: the check that what the spec names travels, and the upload.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain.errors import Problem, SpecError
from raytrain.run.object_store import is_object_store

if TYPE_CHECKING:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    from raytrain.spec.job import JobSpec

ALWAYS = (".git", ".venv", "__pycache__", ".raytrain")


class Excludes:
    """Patterns of `environment.exclude`, the last that matches wins; those of `ALWAYS` cannot be taken back.

    Paths are relative to the job's folder, with `/` between the parts; that of a folder ends with `/`.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """Raises SpecError for a pattern that cannot be read."""
        self._patterns = tuple(patterns)
        if not patterns:
            return
        from pathspec import GitIgnoreSpec

        # A folder is asked for like a file, by patterns without their last `/`: pathspec lets the pattern of a folder
        # around it, such as `!data`, outweigh its own, and git does not.
        folders = [re.sub(r"/\s*$", "", pattern) for pattern in patterns]
        self._of_files = GitIgnoreSpec(map(_compiled, patterns), backend="simple")
        self._of_folders = GitIgnoreSpec(map(_compiled, folders), backend="simple")

    def pattern_against(self, path: str) -> str:
        """The pattern that leaves a file or folder out; empty where it travels if the folders around it do."""
        name = path.rstrip("/").rpartition("/")[2]
        if name in ALWAYS:
            return name
        if not self._patterns:
            return ""
        spec = self._of_folders if path.endswith("/") else self._of_files
        found = spec.check_file(path.rstrip("/"))
        return self._patterns[found.index] if found.include and found.index is not None else ""

    def left_out(self, path: str) -> str:
        """What of a path stays behind: itself, or a folder around it, which as in git cannot be brought back; or ""."""
        steps = accumulate(re.findall(r"[^/]+/?", path))
        return next((step for step in steps if self.pattern_against(step)), "")


def exclude_patterns(spec: JobSpec, folder: Path) -> list[str]:
    """What a job leaves out: what its spec says, and the runs, when they are kept inside of its folder."""
    return [*spec.environment.exclude, *_own_storage(spec.storage, folder)]


def pattern_of(path: str) -> str:
    """The pattern of a path as it stands, `*` and `[` included."""
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    return GitIgnoreSpecPattern.escape(path)


def _own_storage(storage: str, folder: Path) -> list[str]:
    if is_object_store(storage):
        return []
    inside = Path(os.path.normpath(folder / Path(storage).expanduser()))
    if inside == folder or not inside.is_relative_to(folder):
        return []
    return [f"/{pattern_of(inside.relative_to(folder).as_posix())}/"]


def _compiled(pattern: str) -> GitIgnoreSpecPattern:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # of `[[:digit:]]`, which Python's expressions do not know
            return GitIgnoreSpecPattern(pattern)
    except (ValueError, re.error, FutureWarning) as error:
        got, expected = f"{pattern!r}, which cannot be read ({error})", "a pattern as in .gitignore"
        raise SpecError(Problem(got=got, expected=expected, field="environment.exclude")) from None
