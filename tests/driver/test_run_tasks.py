"""Why a task fails: what, where, what to do; nothing of it half done."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raytrain.data.prediction_chunks import Chunk, Origin
from raytrain.data.prediction_folder import PredictionFolder
from raytrain.driver.finished_run import open_run
from raytrain.driver.run_tasks import failure_of
from raytrain.errors import NotFound, Problem, RaytrainError, UserCodeError
from raytrain.model.part_predictor import PartPredictor, PartSettings
from raytrain.spec.task_requests import PredictRequest
from tests.flowers import Made, flower_rows, make_run

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, saving

REQUEST = PredictRequest.model_validate(
    {"run": "a", "moment": "now", "storage": "/runs", "input": {"csv": "/in.csv"}, "output": "/full/out"}
)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make_run(tmp_path, epochs=1)


def predictor(made: Made, output: Path, **settings: Any) -> PartPredictor:
    run = made.open()
    folder = PredictionFolder.of(str(output), None)
    folder.open({"same": {}, "rows": 10}, overwrite=False)
    given: dict[str, Any] = {
        "paths": made.paths,
        "spec": made.spec,
        "pipeline": run.pipeline.for_features(),
        "whole_pipeline": run.pipeline,
        "folder": folder,
        "carried": ["id"],
        "asked": True,
        "batch_size": 4,
        "skip_errors": False,
        "threads": 1,
    }
    return PartPredictor(PartSettings(**(given | settings)))


def chunk_of(rows: Any, part: str = "00000-00000") -> pa.Table:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    return Chunk(part=part, table=table, origins=(Origin(file="in.csv", first=100, rows=len(rows)),)).to_row()


def test_a_full_disk_in_the_middle_leaves_what_is_done(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = predictor(made, tmp_path / "out")
    rows = flower_rows(8)
    assert worker(chunk_of(rows)).column("rows").to_pylist() == [8]

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("raytrain.data.prediction_folder.write_part", full)
        with pytest.raises(UserCodeError, match=r"No space left on device.*make room and run the same command again"):
            worker(chunk_of(rows, "00000-00001"))

    folder = PredictionFolder.of(str(tmp_path / "out"), None)
    assert list(folder.done()) == ["00000-00000"]
    assert not (tmp_path / "out").exists()
    told = failure_of(OSError(errno.ENOSPC, "No space left on device"), REQUEST, tmp_path)
    assert "/full/out: No space left on device" in told.message


def test_a_row_that_fails_is_named_by_its_place_in_the_file(made: Made, tmp_path: Path) -> None:
    rows = flower_rows(9)
    rows.loc[5, "colour"] = "green"
    with pytest.raises(UserCodeError, match=r"row 105 of in.csv, which fails.*green in column `colour`"):
        predictor(made, tmp_path / "one")(chunk_of(rows))
    assert predictor(made, tmp_path / "two", skip_errors=True)(chunk_of(rows)).column("rows").to_pylist() == [8]
    [state] = PredictionFolder.of(str(tmp_path / "two"), None).done().values()
    assert [(error["file"], error["row"]) for error in state.errors] == [("in.csv", 105)]


def test_other_types_are_refused_in_words(made: Made, tmp_path: Path) -> None:
    text = flower_rows(3)
    text["height"] = "tall"
    with pytest.raises(UserCodeError, match="text in column `height`"):
        predictor(made, tmp_path / "out")(chunk_of(text))


def test_a_model_whose_class_is_gone_is_told_of_at_the_first_rows(made: Made, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(made.paths.model) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    config["config"]["layers"][-1] |= {"class_name": "Gone", "module": None, "registered_name": "mine>Gone"}
    content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(made.paths.model, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)

    worker = predictor(made, tmp_path / "out")

    with pytest.raises(UserCodeError, match=r"a model that Keras cannot load.*Gone"):
        worker(chunk_of(flower_rows(3)))


def test_a_run_without_a_model_or_its_preprocessing_is_refused(made: Made, tmp_path: Path) -> None:
    made.paths.preprocessing.write_text("{")
    with pytest.raises(NotFound, match="expected what the run's preprocessing has learned"):
        open_run(made.paths, made.folder, tmp_path)
    made.paths.model.rename(made.paths.weights)
    with pytest.raises(NotFound, match="could save the weights alone"):
        open_run(made.paths, made.folder, tmp_path)
    made.paths.weights.unlink()
    with pytest.raises(NotFound, match="which has no model at"):
        open_run(made.paths, made.folder, tmp_path)


def test_the_client_raises_what_the_cluster_refused(tmp_path: Path) -> None:
    from raytrain.client.run_task import raised

    refusal = UserCodeError(
        Problem(field="data.input.csv", got="no rows", expected="rows", fix="add some", file="a.csv")
    )
    failed = failure_of(refusal, REQUEST, tmp_path)
    assert (failed.kind, failed.field) == ("UserCodeError", "--input.csv")
    error = raised(failed)
    assert isinstance(error, RaytrainError)
    assert (error.exit_code, str(error)) == (10, "a.csv: --input.csv: got no rows, expected rows; add some")
    missing = raised(failure_of(NotFound(Problem(got="no model", expected="one")), REQUEST, tmp_path))
    assert isinstance(missing, NotFound) and missing.problems[0].got == "no model"
    bug = failure_of(ZeroDivisionError("division by zero"), REQUEST, tmp_path)
    assert (bug.kind, bug.message) == ("ZeroDivisionError", "division by zero")
