"""Which files of a job's folder travel to the cluster; listed first, so that too much is refused unpacked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raytrain.client.upload.shadowing import shadowing
from raytrain.errors import Problem, SpecError, UploadTooLarge
from raytrain.spec.exclude import Excludes
from raytrain.spec.peek.named_files import kind_of_entry

MEBIBYTE = 2**20
# Ray's dashboard takes 100 MiB in one request (`DASHBOARD_CLIENT_MAX_SIZE`); packing adds a little to each file.
LIMIT_BYTES = 95 * MEBIBYTE
LIMIT_FILES = 10_000
_WAY_OUT = "leave files out with environment.exclude, or give the job a folder of its own"


@dataclass(frozen=True, kw_only=True)
class UploadFile:
    """A file to be uploaded. `path` is relative to the job's folder, with `/`; `source` is where its content lies."""

    path: str
    source: Path
    bytes: int


@dataclass(frozen=True, kw_only=True)
class UploadPlan:
    """What would be uploaded, in the order of the paths."""

    files: tuple[UploadFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def largest(self) -> tuple[UploadFile, ...]:
        """The ten largest files, the largest first."""
        return tuple(sorted(self.files, key=lambda file: (-file.bytes, file.path))[:10])


def list_upload(folder: Path, exclude: Sequence[str] = ()) -> UploadPlan:
    """The files of a job's folder that would be uploaded.

    Args:
        folder: the job's.
        exclude: patterns as in `.gitignore`, besides those of `exclude.ALWAYS`.

    Raises:
        SpecError: a link leaves the folder, a file or pattern cannot be read, a module has the name of one that others
            import, or the folder is no job's: the user's home, the machine's root, or one of more than 10,000 files.
    """
    root = folder.resolve()
    if root in (Path(root.anchor), Path.home().resolve()):
        name = "the root of this machine" if root == Path(root.anchor) else "your home"
        raise SpecError(
            Problem(got=f"a job in {root}, {name}, all of which would be uploaded", expected="a folder of its own")
        )
    files: list[UploadFile] = []
    outside: list[Problem] = []
    for found in _walk(root, root, "", Excludes(exclude), (root,)):
        if isinstance(found, Problem):
            outside.append(found)
        else:
            files.append(found)
        if len(files) > LIMIT_FILES:
            raise SpecError(
                Problem(
                    got=f"more than {LIMIT_FILES:,} files in {folder}",
                    expected="a job's folder with its code and small data",
                    fix=_WAY_OUT,
                    field="environment.exclude",
                )
            )
    plan = UploadPlan(files=tuple(sorted(files, key=lambda file: file.path)))
    problems = [*outside, *shadowing(file.path for file in plan.files)]
    if problems:
        raise SpecError(*problems)
    return plan


def check_size(plan: UploadPlan, *, more_bytes: int = 0) -> None:
    """Refuses an upload that Ray would refuse.

    Args:
        plan: the job's folder.
        more_bytes: what travels beside it, such as a base model.

    Raises:
        UploadTooLarge: names the ten largest files.
    """
    total = plan.bytes + more_bytes
    if total <= LIMIT_BYTES:
        return
    listed = ", ".join(f"{file.path} ({_mebibytes(file.bytes)})" for file in plan.largest)
    model = f", and a base model of {_mebibytes(more_bytes)}" if more_bytes else ""
    raise UploadTooLarge(
        Problem(
            got=f"{_mebibytes(total)} to upload; the largest files: {listed}{model}",
            expected=f"at most {_mebibytes(LIMIT_BYTES)}, as Ray's dashboard takes no more than 100 MiB",
            fix="leave files out with environment.exclude; put data where the cluster reads it itself",
            field="environment.exclude",
        )
    )


def _walk(
    root: Path, folder: Path, prefix: str, excludes: Excludes, above: tuple[Path, ...]
) -> Iterator[UploadFile | Problem]:
    """The files below `folder`, links followed as long as they stay within `root`; `above` guards against loops."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Problem(got=f"{folder}, which cannot be read ({error.strerror})", expected="a readable folder")
        return
    for entry in entries:
        path, source, fault = f"{prefix}{entry.name}", Path(entry.path), ""
        try:
            kind = kind_of_entry(entry)
        except OSError as error:
            kind, fault = "", str(error.strerror)
        if excludes.pattern_against(f"{path}/" if kind == "folder" else path):
            continue
        if entry.is_symlink() and kind:
            target = source.resolve()
            if not target.is_relative_to(root):
                yield Problem(
                    got=f"{path}, a link to {target}, outside of the job's folder",
                    expected="files of the job's folder alone",
                    fix="copy what it points to into the folder, or leave the link out with environment.exclude",
                    field="environment.exclude",
                )
                continue
        if kind == "folder":
            real = source.resolve()
            if real not in above:
                yield from _walk(root, source, f"{path}/", excludes, (*above, real))
        elif kind == "file":
            fault = _fault_of(path, source)
            if not fault:
                yield UploadFile(path=path, source=source, bytes=entry.stat().st_size)
        if fault:
            yield unfit(path, fault)


def unfit(path: str, fault: str) -> Problem:
    """The problem with a file that cannot be sent."""
    return Problem(
        got=f"{path!r}, which cannot be packed ({fault})",
        expected="files that can be read, with names in UTF-8",
        fix="leave it out with environment.exclude",
        field="environment.exclude",
    )


def _fault_of(path: str, source: Path) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return "" if os.access(source, os.R_OK) else "you may not read it"


def _mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:,.1f} MiB"
