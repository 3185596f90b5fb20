"""Where a prediction is written: into a hidden folder beside its output, which takes the output's name at the end.

Runs in: the driver, and the actors that predict.

Each part is a file, and beside it what is known of it; a part with both is done, whichever process asks. Nothing has
the output's name before all parts are done, but for object stores, which cannot rename: there `_SUCCESS` comes last.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
from pyarrow import fs

from raytrain.data.part_files import SUFFIXES, join_parts, write_part
from raytrain.errors import Problem, UsageError
from raytrain.file_systems import open_filesystem, path_in

SUCCESS = "_SUCCESS"
_PLAN, _STATE, _ERRORS = "plan.json", "_state", "_errors.jsonl"


@dataclass(frozen=True, kw_only=True)
class PartState:
    """What a part came to.

    Attributes:
        rows: that are in it.
        columns: of its file.
        classes: the names of classes, of each output that tells some.
        errors: the rows that were set aside, `{"file", "row", "error"}`.
    """

    rows: int
    columns: list[str]
    classes: dict[str, list[Any]] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PredictionFolder:
    """The output of a prediction. `kind`: parquet, csv or json; `is_file`: one file instead of a folder of parts."""

    output: str
    kind: str
    is_file: bool

    @classmethod
    def of(cls, output: str, kind: str | None) -> PredictionFolder:
        """Of a name that ends as one of the kinds' files do, that file; of any other, a folder of them.

        Raises:
            UsageError: the name says one kind and `kind` another.
        """
        name = path_in(output)[0].lower()
        named = next((known for known, suffix in SUFFIXES.items() if name.endswith(suffix)), None)
        named = "json" if name.endswith((".json", ".ndjson")) else named
        if named and kind and named != kind:
            raise UsageError(Problem(field="--format", got=f"{kind} for {output}", expected=named))
        return cls(output=output, kind=named or kind or "parquet", is_file=named is not None)

    @property
    def errors(self) -> str:
        """The file that names the rows that were set aside."""
        path, query = path_in(self.output)
        return f"{path}.errors.jsonl{query}" if self.is_file else f"{path.rstrip('/')}/{_ERRORS}{query}"

    def open(self, plan: Mapping[str, Any], *, overwrite: bool) -> Mapping[str, Any]:
        """Makes the hidden folder, or finds the one of the same prediction that was cut off.

        Args:
            plan: what the prediction depends on; `same` of it must be the same to go on.

        Returns:
            The plan to go by: that of the prediction that is gone on with.

        Raises:
            UsageError: the output is there, or an unfinished other prediction.
            OSError: it cannot be written.
        """
        system, _ = self._open()
        earlier = self._plan()
        if earlier is not None and not overwrite and earlier["same"] != plan["same"]:
            got = f"{self.output}, beside which an unfinished prediction of something else is"
            differ = ", ".join(key for key in plan["same"] if earlier["same"].get(key) != plan["same"][key])
            fix = "--overwrite begins anew, another --output leaves it alone"
            raise UsageError(Problem(field="--output", got=got, expected=f"the same {differ}", fix=fix))
        if earlier is not None and earlier["same"] == plan["same"]:
            self._check_free(overwrite=overwrite, going_on=True)
            return earlier
        self._check_free(overwrite=overwrite)
        if earlier is not None:
            system.delete_dir(self._hidden)
        system.create_dir(posixpath.join(self._hidden, _STATE), recursive=True)
        self._write(_PLAN, json.dumps(plan))
        return plan

    def done(self) -> dict[str, PartState]:
        """The parts that are there."""
        system, output = self._open()
        found = system.get_file_info(fs.FileSelector(posixpath.join(self._hidden, _STATE), allow_not_found=True))
        states = sorted(info.base_name.removesuffix(".json") for info in found if info.base_name.endswith(".json"))
        parts = {
            info.base_name
            for place in (self._hidden, output)
            for info in system.get_file_info(fs.FileSelector(place, allow_not_found=True))
            if not (place == output and self.is_file)
        }
        known = {part: self._state(part) for part in states}
        return {part: state for part, state in known.items() if not state.rows or self._part_name(part) in parts}

    def write(self, part: str, table: pa.Table, state: PartState) -> None:
        """Writes a part, what is known of it first; of no rows there is no file."""
        system, _ = self._open()
        self._write(f"{_STATE}/{part}.json", json.dumps(asdict(state)))
        if state.rows:
            write_part(system, posixpath.join(self._hidden, self._part_name(part)), table, self.kind)

    def finish(self, states: Mapping[str, PartState], summary: Mapping[str, Any], *, overwrite: bool) -> None:
        """Gives all parts, and the errors, the output's name."""
        system, output = self._open()
        self._check_free(overwrite=overwrite, going_on=True)
        self._remove_asides()
        errors = [error for _, state in sorted(states.items()) for error in state.errors]
        lines = "".join(f"{json.dumps(error)}\n" for error in errors)
        if self.is_file:
            self._finish_file(sorted(part for part, state in states.items() if state.rows), output)
            if errors:
                with system.open_output_stream(f"{output}.errors.jsonl") as sink:
                    sink.write(lines.encode())
            elif system.get_file_info(f"{output}.errors.jsonl").type == fs.FileType.File:
                system.delete_file(f"{output}.errors.jsonl")
            system.delete_dir(self._hidden)
            return
        if errors:
            self._write(_ERRORS, lines)
        if not isinstance(system, fs.LocalFileSystem):
            self._move_all(output, overwrite=overwrite, summary=summary)
            return
        self._write(SUCCESS, json.dumps(summary))
        system.delete_dir(posixpath.join(self._hidden, _STATE))
        system.delete_file(posixpath.join(self._hidden, _PLAN))
        if system.get_file_info(output).type == fs.FileType.Directory:
            system.delete_dir(output)
        system.move(self._hidden, output)

    def _finish_file(self, parts: Sequence[str], output: str) -> None:
        system, _ = self._open()
        whole = posixpath.join(self._hidden, f"whole{SUFFIXES[self.kind]}")
        join_parts(system, [posixpath.join(self._hidden, self._part_name(part)) for part in parts], whole, self.kind)
        system.move(whole, output)

    def _move_all(self, output: str, *, overwrite: bool, summary: Mapping[str, Any]) -> None:
        """In an object store, where a move is a copy of one object: `_SUCCESS` comes last."""
        system, _ = self._open()
        moved = [
            info
            for info in system.get_file_info(fs.FileSelector(self._hidden))
            if info.is_file and info.base_name != _PLAN
        ]
        fresh = {info.base_name for info in moved}
        for old in system.get_file_info(fs.FileSelector(output, allow_not_found=True)) if overwrite else ():
            if old.is_file and old.base_name not in fresh:
                system.delete_file(old.path)
        for info in moved:
            system.move(info.path, posixpath.join(output, info.base_name))
        with system.open_output_stream(posixpath.join(output, SUCCESS)) as sink:
            sink.write(json.dumps(summary).encode())
        system.delete_dir(self._hidden)

    def _remove_asides(self) -> None:
        """What processes that were killed had not renamed yet."""
        system, _ = self._open()
        for info in system.get_file_info(fs.FileSelector(self._hidden)):
            if info.base_name.endswith(".tmp"):
                system.delete_file(info.path)

    def _check_free(self, *, overwrite: bool, going_on: bool = False) -> None:
        """Refuses an output that is there, and with `overwrite` one that no prediction has written.

        Args:
            going_on: parts may have been moved there already, as in an object store.
        """
        system, output = self._open()
        kind = system.get_file_info(output).type
        if kind == fs.FileType.NotFound:
            return
        names = self._names(output) if kind == fs.FileType.Directory else []
        if kind == fs.FileType.Directory and not names and not self.is_file:
            return
        is_ours = self.is_file and kind == fs.FileType.File
        if not self.is_file and kind == fs.FileType.Directory:
            is_ours = all(name.startswith("part-") or name in (SUCCESS, _ERRORS) for name in names)
            if is_ours and going_on and SUCCESS not in names and not isinstance(system, fs.LocalFileSystem):
                return
        if not is_ours:
            got = f"{self.output}, which no prediction has written"
            raise UsageError(Problem(field="--output", got=got, expected="a new name, or an earlier prediction's"))
        if not overwrite:
            fix = "--overwrite replaces it"
            raise UsageError(
                Problem(field="--output", got=f"{self.output}, which is there", expected="a new name", fix=fix)
            )

    def _names(self, folder: str) -> list[str]:
        system, _ = self._open()
        return [info.base_name for info in system.get_file_info(fs.FileSelector(folder))]

    def _open(self) -> tuple[Any, str]:
        system, path = open_filesystem(self.output)
        return system, path.rstrip("/")

    @property
    def _hidden(self) -> str:
        _, output = self._open()
        above, name = posixpath.split(output)
        return posixpath.join(above, f".{name}.unfinished")

    def _part_name(self, part: str) -> str:
        return f"part-{part}{SUFFIXES[self.kind]}"

    def _plan(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._read(_PLAN))
        except (FileNotFoundError, ValueError):
            return None
        return found

    def _state(self, part: str) -> PartState:
        return PartState(**json.loads(self._read(f"{_STATE}/{part}.json")))

    def _read(self, name: str) -> bytes:
        system, _ = self._open()
        with system.open_input_stream(posixpath.join(self._hidden, name)) as source:
            return bytes(source.read())

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all: aside, and renamed."""
        system, _ = self._open()
        path = posixpath.join(self._hidden, name)
        with system.open_output_stream(f"{path}.tmp") as sink:
            sink.write(text.encode())
        system.move(f"{path}.tmp", path)
