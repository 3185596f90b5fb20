from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytrain.data.pipeline import Pipeline
from raytrain.errors import UserCodeError
from tests.data.preprocess.tables import features, fitted, job, table

ROWS = 20_000
GENERATOR = np.random.default_rng(0)
TRAIN = pa.table(
    {
        "a": GENERATOR.normal(1e6, 1, ROWS),
        "b": GENERATOR.lognormal(0, 3, ROWS),
        "v": pa.FixedShapeTensorArray.from_numpy_ndarray(GENERATOR.normal(0, 1, (ROWS, 4)).astype(np.float32)),
        "t": GENERATOR.choice(["red", "green", "blue"], ROWS),
        "n": pa.array(GENERATOR.integers(0, 9, ROWS), mask=GENERATOR.random(ROWS) < 0.1),
        "y": GENERATOR.integers(0, 2, ROWS),
    }
)
EVERY: list[dict[str, Any]] = [
    {"impute": {"columns": ["n"]}},
    {"standardize": {"columns": ["a", "v"]}},
    {"power": {"columns": ["b"], "power": 0.5}},
    {"robust": {"columns": ["b"]}},
    {"bucket": {"columns": ["n"], "bins": 4}},
    {"one_hot": {"columns": ["n", "t"], "into": ["n", "colour"]}},
    {"count": {"columns": ["t"]}},
    {"min_max": {"columns": ["t"]}},
    {"concatenate": {"columns": ["a", "b", "v", "n", "colour", "t"], "into": "all"}},
    {"max_abs": {"columns": ["all"]}},
    {"normalize": {"columns": ["all"]}},
]


def every_step() -> Any:
    return job(*EVERY, features="all", label="y", loss="binary_crossentropy")


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, ROWS), max_size=6))
def test_what_is_learned_does_not_depend_on_how_the_rows_are_cut(cuts: list[int]) -> None:
    whole = fitted(every_step(), TRAIN).to_json()
    assert fitted(every_step(), TRAIN, cuts=tuple(sorted(cuts))).to_json() == whole


def test_rows_are_the_same_alone_and_in_a_pipeline_that_was_written_and_read() -> None:
    pipeline = fitted(every_step(), TRAIN)
    inputs, labels = pipeline.apply(TRAIN)
    document = json.loads(json.dumps(pipeline.to_json()))
    for again in (Pipeline.from_json(document, every_step(), Path()), pickle.loads(pickle.dumps(pipeline))):
        parts = [again.apply(TRAIN.slice(start, 7000)) for start in range(0, ROWS, 7000)]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), inputs)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), labels)
    assert inputs.shape == (ROWS, 1 + 1 + 4 + 4 + 3 + 3)
    assert inputs.dtype == np.float32


def test_the_pipeline_of_other_steps_is_refused() -> None:
    document = fitted(job({"standardize": {"columns": ["x"]}}), {"x": [1.0, 2.0]}).to_json()
    with pytest.raises(UserCodeError, match="got no steps, expected standardize, as in the run"):
        Pipeline.from_json(document, job(), Path())


def test_a_step_learns_from_what_the_steps_before_made() -> None:
    spec = job({"scale": {"columns": ["x"], "by": 10.0}}, {"min_max": {"columns": ["x"]}})
    assert fitted(spec, {"x": [1.0, 3.0]}).to_json()["steps"][1]["learned"] == {"x": {"min": 10.0, "max": 30.0}}


def test_nothing_to_learn_reads_no_rows() -> None:
    pipeline = Pipeline(job({"scale": {"columns": ["x"], "by": 10.0}}), Path())
    pipeline.fit(lambda: pytest.fail("the rows were read"))
    assert pipeline.to_json() == {"schema_version": 1, "steps": [{"kind": "scale", "learned": {}}]}


def test_a_step_may_make_columns() -> None:
    spec = job(
        {"standardize": {"columns": ["a"], "into": ["x"]}},
        {"concatenate": {"columns": ["x", "a"], "into": "both"}},
        features={"one": "x", "two": "both"},
    )
    found = features(spec, {"a": [1.0, 3.0], "unused": [{"a": 1}, {"a": 2}]})
    assert {name: array.tolist() for name, array in found.items()} == {
        "one": [-1, 1],
        "two": [[-1, 1], [1, 3]],
    }


@pytest.mark.parametrize(
    ("steps", "data", "columns"),
    [
        ([], {"features": ["b", "a"], "label": "y", "weight": "w"}, ["b", "a", "y", "w"]),
        ([{"standardize": {"columns": ["a"], "into": ["x"]}}], {"features": "x"}, ["a"]),
        ([{"standardize": {"columns": ["a"]}}], {"features": "a"}, ["a"]),
        ([{"concatenate": {"columns": ["a", "b"], "into": "x"}}], {"features": ["x", "a"]}, ["a", "b"]),
        ([], {"features": "a", "validation": 0.5, "group": "g"}, ["a"]),
        ([{"python": "f.py:f"}], {"features": "made", "label": "y"}, ["y", "a", "b", "w", "g"]),
    ],
)
def test_only_columns_that_are_needed_are_read(steps: list[Any], data: dict[str, Any], columns: list[str]) -> None:
    assert Pipeline(job(*steps, **data), Path()).columns_to_read(["a", "b", "y", "w", "g"]) == columns


def test_a_column_that_a_source_lacks_is_named() -> None:
    with pytest.raises(UserCodeError, match=r"got column `labl`, expected one of x, label; did you mean `label`\?"):
        Pipeline(job(label="labl"), Path()).apply(table({"x": [1], "label": [1]}))


def test_a_step_on_a_column_that_no_step_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def f(batch): return {'x': batch['x']}\n")
    spec = job({"python": "f.py:f"}, {"standardize": {"columns": ["y"]}}, features=["x", "y"])
    with pytest.raises(UserCodeError) as refused:
        features(spec, {"x": [1.0], "y": [1.0]}, folder=tmp_path)
    [problem] = refused.value.problems
    assert (problem.field, problem.got) == ("data.preprocess.1.standardize", "column `y`")


def test_options_of_columns_and_labels_reach_the_rows() -> None:
    spec = job(columns={"x": {"pad": 2}}, label="y", loss="binary_crossentropy")
    inputs, labels = fitted(spec, {"x": [[1], [2, 3]], "y": [0, 1]}).apply(table({"x": [[4], []], "y": [1, 1]}))
    assert (inputs.tolist(), labels.tolist()) == ([[4, 0], [0, 0]], [1, 1])
    with pytest.raises(UserCodeError, match="labels from 2 to 2"):
        fitted(spec, {"x": [[1]], "y": [0]}).apply(table({"x": [[4]], "y": [2]}))
