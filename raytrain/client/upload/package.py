"""Packs what a job needs into zip files that depend on nothing but their content, and names them by it.

Ray unpacks `gcs://_ray_pkg_<hash>.zip` as it is: as a `working_dir` it becomes the current folder of driver and
workers; as one of `py_modules` its top becomes an entry of `sys.path`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import raytrain
from raytrain.client.upload.upload_plan import UploadPlan, unfit
from raytrain.errors import SpecError
from raytrain.spec.exclude import Excludes

# The earliest moment that a zip file can hold.
_MOMENT = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Package:
    """A zip file and the URI under which Ray keeps it."""

    uri: str
    content: bytes


def pack_job(plan: UploadPlan, extra: Iterable[tuple[str, bytes]]) -> Package:
    """The job's working directory.

    Args:
        plan: the files of the job's folder.
        extra: path and content of what is put beside them: the request, a base model.

    Raises:
        SpecError: a file cannot be read any more.
    """
    return _pack([*((file.path, file.source) for file in plan.files), *extra])


def pack_raytrain() -> Package:
    """This very raytrain, so that a cluster needs none of its own: `raytrain/` at the zip's top."""
    root = Path(raytrain.__file__).resolve().parent
    excludes = Excludes(["*.pyc"])
    members: list[tuple[str, Path | bytes]] = []
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root).as_posix()
        if file.is_file() and not excludes.left_out(path):
            members.append((f"raytrain/{path}", file))
    return _pack(members)


def pack_files(members: Iterable[tuple[str, bytes]]) -> Package:
    """A working directory of these files, path and content each."""
    return _pack([*members])


def _pack(members: Iterable[tuple[str, Path | bytes]]) -> Package:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, source in sorted(members, key=lambda member: member[0]):
            content, executable = _content_of(path, source)
            entry = zipfile.ZipInfo(path, date_time=_MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, so that the mode bits count
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(entry, content)
    content = buffer.getvalue()
    return Package(uri=f"gcs://_ray_pkg_{hashlib.sha256(content).hexdigest()[:40]}.zip", content=content)


def _content_of(path: str, source: Path | bytes) -> tuple[bytes, bool]:
    if isinstance(source, bytes):
        return source, False
    try:
        path.encode()
        return source.read_bytes(), bool(source.stat().st_mode & 0o100)
    except (OSError, UnicodeEncodeError) as error:
        raise SpecError(unfit(path, str(error))) from None
