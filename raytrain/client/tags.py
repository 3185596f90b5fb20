"""Tags: names for runs, such as digits:production, in the storage beside the runs, so that all who see it agree."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raytrain.client.registry import RunRecord, remembered
from raytrain.client.run_directory import refresh
from raytrain.client.stored_status import stored_status
from raytrain.errors import NotFound, Problem, UsageError
from raytrain.files import write_whole
from raytrain.run.object_store import ObjectStore, is_object_store
from raytrain.run.run_id import parse_run_id
from raytrain.run.run_paths import RunPaths

_FOLDER = "tags"
_TAG = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_REFERENCE = re.compile(r"([a-z0-9_-]{1,40}):([^:/@]+)")


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A name of a run.

    Attributes:
        name: of the job.
        storage: the directory that holds the run's, and the tag.
        tagged_at: seconds since the epoch.
    """

    name: str
    tag: str
    run: str
    storage: str
    tagged_at: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def tag_run(record: RunRecord, tag: str) -> tuple[Tag, str]:
    """Gives a run a tag, which another run of its job loses.

    Returns:
        The tag, and the run that had it before; empty where none had.

    Raises:
        UsageError: the tag is no word of small letters, digits, dots, dashes and underscores; or the run has no model.
        NotFound: the run's storage is out of sight here.
        OSError: it cannot be written.
    """
    check_tag(tag)
    name = job_of(record)
    _check_in_sight(record)
    refresh(record)
    if (stored := stored_status(record)) is None or not stored.model:
        got, fix = f"run {record.run}, which has saved no model", f"raytrain status {record.run} tells how it stands"
        raise UsageError(Problem(got=got, expected="a run with a trained model", fix=fix))
    before = next((each.run for each in _in_storage(record.storage) if (each.name, each.tag) == (name, tag)), "")
    made = Tag(name=name, tag=tag, run=record.run, storage=record.storage, tagged_at=time.time())
    text = json.dumps({"schema_version": 1, **made.to_dict()})
    if is_object_store(record.storage):
        ObjectStore(record.storage).write(f"{_FOLDER}/{name}/{tag}.json", text.encode())
    else:
        file = _folder(record.storage) / name / f"{tag}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
    return made, before if before != record.run else ""


def untag_run(record: RunRecord, tag: str) -> Tag:
    """Takes a tag from a run.

    Raises:
        NotFound: the run does not have it.
        OSError: it cannot be removed.
    """
    found = next((each for each in tags_of(record) if each.tag == tag), None)
    if found is None:
        has = ", ".join(each.tag for each in tags_of(record)) or "none"
        raise NotFound(Problem(got=f"no tag {tag} of run {record.run}", expected=f"one that it has: {has}"))
    if is_object_store(found.storage):
        ObjectStore(found.storage).remove_object(f"{_FOLDER}/{found.name}/{tag}.json")
    else:
        (_folder(found.storage) / found.name / f"{tag}.json").unlink()
    return found


def tags_of(record: RunRecord) -> list[Tag]:
    """The tags of a run."""
    return [each for each in _in_storage(record.storage) if each.run == record.run] if record.storage else []


def all_tags(storage: str | None = None, environ: Mapping[str, str] | None = None) -> list[Tag]:
    """The tags in a storage, or in those of the runs that this machine remembers."""
    known = [storage] if storage else [record.storage for record in reversed(remembered(environ)) if record.storage]
    return [tag for each in dict.fromkeys(known) for tag in _in_storage(each)]


def tagged(ref: str, *, storage: str | None = None, environ: Mapping[str, str] | None = None) -> RunRecord | None:
    """The run that `NAME:TAG` names; None where `ref` is not of that form.

    Raises:
        NotFound: there is no such tag.
    """
    match = _REFERENCE.fullmatch(ref)
    if match is None:
        return None
    name, tag = match.groups()
    known = all_tags(storage, environ)
    found = [each for each in known if (each.name, each.tag) == (name, tag)]
    if not found:
        offered = ", ".join(f"{each.name}:{each.tag}" for each in known[:10]) or "none yet"
        fix = f"raytrain tag RUN {tag} gives a run the tag; --storage names where it is kept"
        raise NotFound(Problem(got=f"no run tagged {ref}", expected=f"a tag that is there: {offered}", fix=fix))
    newest = max(found, key=lambda each: each.tagged_at)
    record = next((each for each in remembered(environ, beginning=newest.run) if each.run == newest.run), None)
    return record or RunRecord(run=newest.run, name=newest.name, storage=newest.storage)


def check_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag):
        expected = "1 to 40 of a-z, 0-9, dot, dash and underscore, a letter or digit first"
        raise UsageError(Problem(got=f"the tag {tag!r}", expected=expected))


def job_of(record: RunRecord) -> str:
    """The name of the run's job."""
    named = parse_run_id(record.run)
    return record.name or (named[0] if named else record.run)


def _check_in_sight(record: RunRecord) -> None:
    if record.storage and (
        is_object_store(record.storage) or os.path.isdir(RunPaths.of(record.storage, record.run).root)
    ):
        return
    got = f"run {record.run}, whose directory is not in sight here"
    raise NotFound(Problem(got=got, expected="a run in storage that this machine sees", fix="--storage names it"))


def _in_storage(storage: str) -> Iterator[Tag]:
    """Every tag that can be read there."""
    if is_object_store(storage):
        with contextlib.suppress(OSError):
            store = ObjectStore(storage)
            for name in store.names(_FOLDER):
                yield from _tag_of((store.read(f"{_FOLDER}/{name}") or b"").decode(), storage)
        return
    for file in sorted(_folder(storage).glob("*/*.json")):
        with contextlib.suppress(OSError):
            yield from _tag_of(file.read_text(), storage)


def _tag_of(text: str, storage: str) -> Iterator[Tag]:
    """The tag that a file tells of, in the storage as it is known here; none of a damaged one."""
    with contextlib.suppress(ValueError, TypeError, LookupError):
        body = json.loads(text)
        yield Tag(
            name=str(body["name"]),
            tag=str(body["tag"]),
            run=str(body["run"]),
            storage=storage,
            tagged_at=float(body["tagged_at"]),
        )


def _folder(storage: str) -> Path:
    return Path(storage).expanduser() / _FOLDER
