"""The folder of a prediction: nothing has the output's name before it is whole, and what is there stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from raytrain.data.prediction_folder import PartState, PredictionFolder
from raytrain.errors import UsageError
from raytrain.file_systems import open_filesystem
from tests.s3 import KEYS, s3_server

PLAN: dict[str, Any] = {"same": {"run": "a", "input": ["x.csv 10 1"]}, "rows": 100}


def folder_of(path: Path, kind: str | None = None) -> PredictionFolder:
    return PredictionFolder.of(str(path), kind)


def write(folder: PredictionFolder, part: str, values: list[int], errors: list[dict[str, Any]] | None = None) -> None:
    table = pa.table({"id": values})
    folder.write(part, table, PartState(rows=len(values), columns=["id"], errors=errors or []))


@pytest.mark.parametrize(
    ("name", "asked", "kind", "is_file"),
    [
        ("out", None, "parquet", False),
        ("out", "csv", "csv", False),
        ("out.CSV", None, "csv", True),
        ("out.jsonl", "json", "json", True),
        ("out.json", None, "json", True),
        ("s3://bucket/a.parquet", None, "parquet", True),
    ],
)
def test_the_name_tells_the_kind(name: str, asked: str | None, kind: str, is_file: bool) -> None:
    folder = PredictionFolder.of(name, asked)
    assert (folder.kind, folder.is_file) == (kind, is_file)


def test_a_name_that_says_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="--format: got parquet for out"):
        PredictionFolder.of("out.csv", "parquet")


@pytest.mark.parametrize("name", ["out", "out.parquet", "out.csv", "out.jsonl"])
def test_parts_become_the_output_at_the_end(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / name)
    folder.open(PLAN, overwrite=False)
    write(folder, "00001-00000", [3])
    write(folder, "00000-00001", [2])
    write(folder, "00000-00000", [0, 1])
    write(folder, "00000-00002", [], [{"file": "x.csv", "row": 3, "error": "bad"}])
    assert not (tmp_path / name).exists()

    folder.finish(folder.done(), {"rows": 4}, overwrite=False)

    assert {path.name for path in tmp_path.iterdir()} == {name, *([f"{name}.errors.jsonl"] if "." in name else [])}
    assert json.loads(Path(folder.errors).read_text())["row"] == 3
    if name.endswith(".csv"):
        assert (tmp_path / name).read_text() == '"id"\n0\n1\n2\n3\n'
    elif name.endswith(".jsonl"):
        assert [json.loads(line)["id"] for line in (tmp_path / name).read_text().splitlines()] == [0, 1, 2, 3]
    else:
        assert pq.read_table(tmp_path / name).column("id").to_pylist() == [0, 1, 2, 3]
    if name == "out":
        assert json.loads((tmp_path / name / "_SUCCESS").read_text()) == {"rows": 4}
        assert len(list((tmp_path / name).glob("part-*.parquet"))) == 3


def test_the_same_prediction_is_gone_on_with(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "out")
    folder.open(PLAN, overwrite=False)
    write(folder, "00000-00000", [0])
    write(folder, "00000-00001", [1])
    (tmp_path / ".out.unfinished" / "part-00000-00001.parquet").unlink()

    again = folder.open({**PLAN, "rows": 7}, overwrite=False)

    assert again["rows"] == 100
    assert list(folder.done()) == ["00000-00000"]


def test_an_unfinished_prediction_of_something_else_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "out")
    folder.open(PLAN, overwrite=False)
    write(folder, "00000-00000", [0])
    other = {"same": {**PLAN["same"], "input": ["x.csv 10 2"]}, "rows": 100}

    with pytest.raises(UsageError, match="expected the same input; --overwrite begins anew"):
        folder.open(other, overwrite=False)
    folder.open(other, overwrite=True)

    assert folder.done() == {}


def test_what_no_prediction_has_written_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    folder = folder_of(tmp_path / "out")
    folder.open(PLAN, overwrite=False)  # an empty folder is free
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    other = {"same": {"run": "b"}, "rows": 1}

    for overwrite in (False, True):
        with pytest.raises(UsageError):
            folder_of(tmp_path / "out").open(other | {"same": {"run": overwrite}}, overwrite=overwrite)

    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["out", "out.csv"])
def test_in_an_object_store_the_marker_comes_last(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off while its parts are moved, it goes on."""
    for key, value in KEYS.items():
        monkeypatch.setenv(key, value)
    with s3_server() as server:
        folder = PredictionFolder.of(server.uri("answers", name), "csv")
        assert (folder.kind, folder.is_file) == ("csv", "." in name)
        folder.open(PLAN, overwrite=False)
        write(folder, "00000-00000", [0, 1])
        write(folder, "00000-00001", [2], [{"file": "x.csv", "row": 3, "error": "bad"}])
        system, path = open_filesystem(server.uri("answers"))
        if name == "out":
            system.create_dir(f"{path}/out")
            system.move(f"{path}/.out.unfinished/part-00000-00000.csv", f"{path}/out/part-00000-00000.csv")
        assert folder.open(PLAN, overwrite=False)["rows"] == 100
        assert sorted(folder.done()) == ["00000-00000", "00000-00001"]

        folder.finish(folder.done(), {"rows": 3}, overwrite=False)

        listed = system.get_file_info(fs.FileSelector(path, recursive=True))
        found = sorted(info.path.removeprefix(f"{path}/") for info in listed if info.is_file)
        with system.open_input_stream(open_filesystem(folder.errors)[1]) as errors:
            assert json.loads(errors.read())["row"] == 3
        if name == "out":
            assert sorted(found) == [
                "out/_SUCCESS",
                "out/_errors.jsonl",
                "out/part-00000-00000.csv",
                "out/part-00000-00001.csv",
            ]
        else:
            assert found == ["out.csv", "out.csv.errors.jsonl"]
        with pytest.raises(UsageError, match="which is there"):
            folder.open(PLAN, overwrite=False)


def test_what_somebody_put_there_meanwhile_is_never_removed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "out")
    folder.open(PLAN, overwrite=False)
    write(folder, "00000-00000", [0])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="which no prediction has written"):
            folder.finish(folder.done(), {}, overwrite=overwrite)
        with pytest.raises(UsageError, match="which no prediction has written"):
            folder.open(PLAN, overwrite=overwrite)
    assert (tmp_path / "out" / "thesis.txt").exists()


def test_what_a_killed_process_left_half_written_is_gone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "out")
    folder.open(PLAN, overwrite=False)
    write(folder, "00000-00000", [0])
    (tmp_path / ".out.unfinished" / "part-00000-00001.parquet.tmp").write_text("half")
    folder.finish(folder.done(), {}, overwrite=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"part-00000-00000.parquet", "_SUCCESS"}


def test_parts_of_other_types_are_one_file(tmp_path: Path) -> None:
    """A csv's first rows may be whole numbers, and later ones fractions."""
    folder = folder_of(tmp_path / "out.parquet")
    folder.open(PLAN, overwrite=False)
    write(folder, "00000-00000", [1])
    folder.write("00000-00001", pa.table({"id": [1.5]}), PartState(rows=1, columns=["id"]))
    folder.finish(folder.done(), {}, overwrite=False)
    assert pq.read_table(tmp_path / "out.parquet").column("id").to_pylist() == [1.0, 1.5]


def test_json_has_null_for_what_is_no_number(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "out.jsonl")
    folder.open(PLAN, overwrite=False)
    table = pa.table({"a": [float("nan"), 1.0], "b": [[float("inf")], [2.0]]})
    folder.write("00000-00000", table, PartState(rows=2, columns=["a", "b"]))
    folder.finish(folder.done(), {}, overwrite=False)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines == [{"a": None, "b": [None]}, {"a": 1.0, "b": [2.0]}]
