"""The runs submitted from this machine, so that a run is found by a few letters of its id.

Only a help to memory: a run's directory and the cluster know the run without it, and no command fails for want of it.

A SQLite database, which has the newest twenty of ten thousand runs at hand without reading them all, and undoes what a
killed process left half done. It may lie in a home on a network, where other machines write, too:

- One process writes at a time. It holds SQLite's own locks, which end with it, but which some mounts keep from other
  machines, and some refuse; and a marker, a file that was not there before, which every file server decides rightly.
- It opens the database only while it holds the marker, and with a rollback journal: WAL needs memory that all share.
- Reading never writes, and waits for nobody for long: what cannot be read under a lock is read without one.
- A damaged database is set aside, and another begun with all that could be read of it.

The lines of `runs.jsonl`, in which version 0.1 keeps the runs and may append some at any time, are read beside it. The
next submission takes in those that are new, and leaves the file as it is.

Later versions add columns, by `ALTER TABLE runs ADD COLUMN … NOT NULL DEFAULT …` and a higher `user_version`, and
change nothing else: an earlier one goes on reading and writing the columns that it knows.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytrain.files import state_dir

if TYPE_CHECKING:
    import sqlite3

_TEXTS = ("run", "name", "address", "storage", "job")
_COLUMNS = (*_TEXTS, "submitted_at", "attempt")
_SCHEMA = (
    "CREATE TABLE runs (place INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, name TEXT NOT NULL, address TEXT NOT NULL,"
    " storage TEXT NOT NULL, job TEXT NOT NULL, submitted_at REAL NOT NULL, attempt INTEGER NOT NULL)",
    "CREATE TABLE taken_in (bytes INTEGER NOT NULL)",  # of runs.jsonl
    "INSERT INTO taken_in VALUES (0)",
    "PRAGMA user_version = 1",
)
_TAKEN_IN = "SELECT CAST(ifnull(max(bytes), 0) AS INTEGER) FROM taken_in"
# A run that was there already gets a new `place`, the last.
_PUT = f"INSERT OR REPLACE INTO runs ({', '.join(_COLUMNS)}) VALUES (:{', :'.join(_COLUMNS)})"

# A write takes milliseconds; these are for a machine on which many wait, or a file server that is slow.
_WRITE_WITHIN_S = 30.0
_READ_WITHIN_S = 0.5
# The marker of a machine that went down is taken over after so long. All versions must have the same number here.
_MARKER_LASTS_S = 10.0


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Where a run is to be found.

    Attributes:
        address: the dashboard's url; empty where only the run's directory is known.
        storage: the directory that holds the run's, as the cluster sees it; empty when unknown.
        submitted_at: seconds since the epoch; 0 when unknown.
        job: the job's file or folder, as absolute path; empty when unknown.
        attempt: the last one submitted from this machine.
    """

    run: str
    name: str = ""
    address: str = ""
    storage: str = ""
    submitted_at: float = 0.0
    job: str = ""
    attempt: int = 1


def database_path(environ: Mapping[str, str] | None = None) -> Path:
    return state_dir(environ) / "runs.sqlite3"


def remember(record: RunRecord, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Puts a run on record as the latest; one of the same id is replaced.

    Returns:
        What the user should know though all went well: that the database was damaged, and is begun anew.

    Raises:
        OSError: it cannot be written, or others hold it for long.
    """
    import sqlite3

    path = database_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _alone(path):
            try:
                _put(path, [record])
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:  # which is a damaged file; all else is a class below it
                    raise
                records = remembered(environ)
                aside = _set_aside(path)
                _put(path, [*records, record])
                return (f"{path} was damaged ({error}): kept as {aside.name}, begun anew with {len(records)} runs",)
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error
    return ()


def latest(known: RunRecord) -> RunRecord:
    """The run as the last attempt of it that this machine knows of."""
    alike = [item for item in remembered(beginning=known.run) if item.run == known.run]
    last = max([known, *alike], key=lambda item: item.attempt)
    return replace(known, attempt=last.attempt, address=last.address if last.attempt > known.attempt else known.address)


def remembered(environ: Mapping[str, str] | None = None, *, beginning: str = "") -> list[RunRecord]:
    """Every run on record, the latest last; only those whose ids begin so."""
    path = database_path(environ)
    select = "SELECT * FROM runs WHERE substr(run, 1, ?) = ? ORDER BY place"
    rows, taken_in = _rows(path, select, len(beginning), beginning)
    _, text = _appended(path, taken_in)
    records: dict[str, RunRecord] = {}
    for record in (*map(_record_of, rows), *_records_of(text)):
        if record is not None and record.run.startswith(beginning):
            records.pop(record.run, None)
            records[record.run] = record
    return list(records.values())


def newest(limit: int | None, environ: Mapping[str, str] | None = None) -> tuple[list[RunRecord], int]:
    """The latest `limit` runs on record, all when None, the newest first; and how many there are."""
    path = database_path(environ)
    select = "SELECT *, (SELECT count(*) FROM runs) AS total FROM runs ORDER BY place DESC LIMIT ?"
    rows, taken_in = _rows(path, select, -1 if limit is None else limit)
    if rows and not _appended(path, taken_in)[1]:
        return [record for row in rows if (record := _record_of(row))], rows[0]["total"]
    records = remembered(environ)[::-1]
    return records[:limit], len(records)


def forget(run: str, environ: Mapping[str, str] | None = None) -> None:
    """Takes a run off the record, if it is there; an OSError says that it cannot be written, or is held for long."""
    import sqlite3

    path = database_path(environ)
    if not any(record.run == run for record in remembered(environ, beginning=run)):
        return
    try:
        with _alone(path):
            _put(path, [], gone=run)
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds the marker, so that no other raytrain writes, on whichever machine.

    Raises:
        OSError: others hold it for long, or it cannot be made.
    """
    from filelock import SoftFileLease, Timeout

    marker = SoftFileLease(f"{path}.lock", timeout=_WRITE_WITHIN_S, lease_duration=_MARKER_LASTS_S)
    try:
        marker.acquire()
    except Timeout:
        if marker.owner is not None:
            raise
        marker.force_break()  # empty since a machine went down: whoever holds one has long written its name into it
        marker.acquire()
    try:
        yield
    finally:
        marker.release()


def _put(path: Path, records: Iterable[RunRecord], *, gone: str = "") -> None:
    """Takes in what is new in `runs.jsonl`, then these, and drops the run that is `gone`; all or nothing.

    Raises:
        sqlite3.Error: nothing was written; it is DatabaseError itself where the file is damaged.
    """
    import sqlite3

    path.touch(0o600)
    with contextlib.closing(_begun(path)) as database:
        [(version,)] = database.execute("PRAGMA user_version")
        for statement in () if version else _SCHEMA:
            database.execute(statement)
        [(state,)] = database.execute("PRAGMA integrity_check(1)")
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        [(taken_in,)] = database.execute(_TAKEN_IN)
        start, text = _appended(path, taken_in)
        lines = text[: text.rfind(b"\n") + 1]  # the last may be half written
        database.execute("UPDATE taken_in SET bytes = ?", (start + len(lines),))
        database.executemany(_PUT, map(_columns, (*_records_of(lines), *records)))
        database.execute("DELETE FROM runs WHERE run = ?", (gone,))
        database.execute("COMMIT")


def _begun(path: Path) -> sqlite3.Connection:
    """The database in a transaction that writes; to close it undoes what was not committed."""
    import sqlite3

    uri = f"{path.absolute().as_uri()}?mode=rw{'' if _has_locks(path) else '&nolock=1'}"
    database = sqlite3.connect(uri, uri=True, timeout=_WRITE_WITHIN_S, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _has_locks(path: Path) -> bool:
    """Whether the mount has locks as SQLite's; where it refuses them (ENOLCK, ENOSYS), the marker alone must do."""
    import fcntl

    with Path(f"{path}.lock").open() as marker:  # to close the database itself would let go of all locks on it here
        try:
            fcntl.lockf(marker, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EACCES, errno.EAGAIN)
    return True


def _rows(path: Path, select: str, *parameters: object) -> tuple[list[dict[str, Any]], int]:
    """As many of these rows as can be read; and how many bytes of `runs.jsonl` the database has taken in."""
    import sqlite3

    rows: list[dict[str, Any]] = []
    taken_in = 0
    # Without locks: where another holds the database for long, or was killed and nobody has written since, or where
    # there are none. At worst that reads a record or two of what was never finished, or not all.
    for access in ("mode=ro", "mode=ro&immutable=1"):
        rows.clear()
        uri = f"{path.absolute().as_uri()}?{access}"
        with (
            contextlib.suppress(sqlite3.Error, UnicodeError),
            contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_READ_WITHIN_S)) as database,
        ):
            database.execute("BEGIN")
            [(taken_in,)] = database.execute(_TAKEN_IN)
            cursor = database.execute(select, parameters)
            names = [column[0] for column in cursor.description]
            for row in cursor:  # one by one, so that those before a damaged one are kept
                rows.append(dict(zip(names, row, strict=True)))
            break
    return rows, taken_in


def _set_aside(path: Path) -> Path:
    """Renames the database and its journal, which nobody else writes meanwhile."""
    aside = path.with_name(f"{path.stem}-damaged-{datetime.now():%Y%m%d-%H%M%S}{path.suffix}")
    with contextlib.suppress(FileNotFoundError):
        Path(f"{path}-journal").replace(f"{aside}-journal")  # first: the new database must not be mended by it
    path.replace(aside)
    return aside


def _appended(path: Path, taken_in: int) -> tuple[int, bytes]:
    """What `runs.jsonl` has beyond so many bytes, or from its beginning where it is shorter; and where that begins."""
    try:
        with path.with_name("runs.jsonl").open("rb") as file:
            start = file.seek(taken_in if taken_in <= file.seek(0, os.SEEK_END) else 0)
            return start, file.read()
    except OSError:
        return taken_in, b""


def _records_of(lines: bytes) -> Iterator[RunRecord]:
    """Those of the lines that are a record; one that a killed process left torn is none."""
    for line in lines.splitlines():
        with contextlib.suppress(ValueError):
            if record := _record_of(json.loads(line)):
                yield record


def _record_of(body: Any) -> RunRecord | None:
    """The record that a map tells of; None where it tells of none, or has what no database holds."""
    try:
        record = RunRecord(**{key: value for key, value in body.items() if key in _COLUMNS})
        fits = abs(record.submitted_at) < 2**63 and isinstance(record.attempt, int) and abs(record.attempt) < 2**63
    except (TypeError, AttributeError):
        return None
    return record if fits and all(isinstance(getattr(record, name), str) for name in _TEXTS) else None


def _columns(record: RunRecord) -> dict[str, Any]:
    """A record for the database, which takes no file name that is not UTF-8; such a letter becomes a question mark."""
    return {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in vars(record).items()
    }
