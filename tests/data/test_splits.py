from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain.data.splits import TEST, TRAIN, VALIDATION, Splitter, key_columns, make_splitter, read_key, train_rows
from raytrain.errors import UserCodeError
from raytrain.spec.data_spec import DataSpec
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import SplitCounts, split_counts

FRACTIONS = st.sampled_from([0.0, 0.1, 0.15, 0.25, 0.4])
SEEDS = st.integers(0, 2**31 - 1)


def spec(*, seed: int = 0, **data: Any) -> JobSpec:
    given = {name: value for name, value in data.items() if value}
    source = {"train": {"inline": {"x": [0]}}, "features": "x", "label": "y"}
    return JobSpec.model_validate({"name": "a", "model": "model.py:f", "data": source | given, "fit": {"seed": seed}})


def rows_of(splitter: Splitter) -> dict[str, list[int]]:
    counts = splitter.counts
    marks = splitter.of(0, counts.train + counts.validation + counts.test)
    numbers = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    return {split: np.flatnonzero(marks == mark).tolist() for split, mark in numbers.items()}


def refused(job: JobSpec, key: Any) -> tuple[str, str]:
    with pytest.raises(UserCodeError) as caught:
        make_splitter(job, len(key), np.asarray(key))
    [problem] = caught.value.problems
    return problem.field, problem.got


@given(
    rows=st.integers(0, 500),
    validation=FRACTIONS,
    test=FRACTIONS,
    seed=SEEDS,
    cuts=st.lists(st.integers(0, 500), max_size=5),
)
def test_every_row_is_in_exactly_one_split_however_the_rows_are_cut(
    rows: int, validation: float, test: float, seed: int, cuts: list[int]
) -> None:
    job = spec(seed=seed, validation=validation, test=test)
    splitter = make_splitter(job, rows, None)
    assert splitter.counts == split_counts(rows, validation=validation, test=test)
    whole = splitter.of(0, rows)
    assert np.bincount(whole, minlength=3).tolist() == list(vars(splitter.counts).values())
    bounds = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    again = pickle.loads(pickle.dumps(make_splitter(job, rows, None)))
    parts = [again.of(start, stop) for start, stop in itertools.pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_split_of_a_seed_is_what_it_was_in_every_earlier_version() -> None:
    assert rows_of(make_splitter(spec(seed=7, validation=0.2, test=0.2), 10, None)) == {
        "train": [0, 1, 3, 4, 8, 9],
        "validation": [2, 7],
        "test": [5, 6],
    }


def test_other_seeds_split_otherwise() -> None:
    found = {tuple(rows_of(make_splitter(spec(seed=seed, test=0.25), 100, None))["test"]) for seed in range(20)}
    assert len(found) == 20


def test_the_test_rows_stay_the_same_when_a_validation_part_is_asked_for_too() -> None:
    without = rows_of(make_splitter(spec(seed=3, test=0.2), 100, None))
    beside = rows_of(make_splitter(spec(seed=3, test=0.2, validation=0.2), 100, None))
    assert without["test"] == beside["test"]


def test_sources_of_their_own_leave_train_whole() -> None:
    own = {"inline": {"x": [0], "y": [0]}}
    assert make_splitter(spec(validation=own, test=own), 9, None).counts == SplitCounts(train=9, validation=0, test=0)
    assert make_splitter(spec(validation=own, test=0.34), 9, None).counts == SplitCounts(train=6, validation=0, test=3)


@given(rows=st.integers(40, 120), classes=st.integers(2, 4), seed=SEEDS)
def test_a_stratified_split_keeps_the_proportions(rows: int, classes: int, seed: int) -> None:
    key = np.arange(rows) % classes
    splitter = make_splitter(spec(seed=seed, stratify=True, validation=0.2, test=0.1), rows, key)
    assert splitter.counts == split_counts(rows, validation=0.2, test=0.1)
    for chosen in rows_of(splitter).values():
        for number in range(classes):
            assert abs(np.sum(key[chosen] == number) - np.mean(key == number) * len(chosen)) <= 2


@pytest.mark.parametrize("kind", ["numbers", "text", "halves"])
def test_stratified_keeps_rare_classes_in_proportion(kind: str) -> None:
    numbers = np.repeat([0, 1, 2], [700, 200, 100])
    key: Any = {
        "numbers": numbers,
        "text": np.array(["a", "b", "c"], dtype=object)[numbers],
        "halves": numbers.astype(np.float32) / 2,
    }[kind]
    parts = rows_of(make_splitter(spec(stratify="y", validation=0.2, test=0.1), 1000, key))
    found = {split: np.bincount(numbers[rows]).tolist() for split, rows in parts.items()}
    assert found == {"train": [490, 140, 70], "validation": [140, 40, 20], "test": [70, 20, 10]}


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param([0] * 9 + [1], id="a class of one row"),
        pytest.param(list(range(10)), id="every row its own class"),
        pytest.param([0, 1, 2, 3, 4] * 2, id="more classes than test rows"),
    ],
)
def test_classes_that_cannot_be_in_every_split_are_refused(classes: list[int]) -> None:
    field, got = refused(spec(stratify=True, test=0.2), classes)
    assert field == "data.stratify"
    assert "class" in got


@given(more=st.lists(st.sampled_from("abcdefghijkl"), max_size=100), groups=st.integers(4, 12), seed=SEEDS)
def test_all_rows_of_a_group_are_in_one_split(more: list[str], groups: int, seed: int) -> None:
    key = [*"abcdefghijkl"[:groups], *more]
    groups = len(set(key))
    wanted = split_counts(groups, validation=0.25, test=0.25)
    splitter = make_splitter(
        spec(seed=seed, group="g", validation=0.25, test=0.25), len(key), np.array(key, dtype=object)
    )
    found = {split: {key[row] for row in rows} for split, rows in rows_of(splitter).items()}
    assert {split: len(names) for split, names in found.items()} == vars(wanted)
    assert sum(len(names) for names in found.values()) == groups


def test_which_split_a_group_is_in_does_not_depend_on_its_rows() -> None:
    few = np.array(["a", "b", "c", "d"], dtype=object)
    many = np.repeat(few, [1, 5, 2, 9])[::-1]
    job = spec(group="g", validation=0.25, test=0.25)
    by_group = dict(zip(few, make_splitter(job, 4, few).of(0, 4), strict=True))
    assert [by_group[name] for name in many] == make_splitter(job, 17, many).of(0, 17).tolist()


def test_too_few_groups_are_refused() -> None:
    assert refused(spec(group="g", validation=0.1), [1, 1, 2, 2]) == (
        "data.group",
        "2 groups in column `g`, none of them for validation",
    )
    got = "1 groups in column `g`, none of them for train"
    assert refused(spec(group="g", validation=0.9), [1, 1, 1]) == ("data.group", got)


@pytest.mark.parametrize(
    ("key", "validation", "test", "marks"),
    [
        ([1, 2, 3, 1], 3, None, [0, 0, 1, 0]),
        ([1, 2, 3, 1], [2, 3], 1, [2, 1, 1, 2]),
        (["x", "y", "z", "y"], "y", ["z"], [0, 1, 2, 1]),
        ([0.0, 1.0, 0.0, 0.0], True, None, [0, 1, 0, 0]),
    ],
)
def test_rows_by_value(key: list[Any], validation: Any, test: Any, marks: list[int]) -> None:
    if test == 1:
        key = [*key, 4]
        marks = [*marks, 0]
    parts: dict[str, Any] = {"validation": {"where": {"fold": validation}}} | (
        {"test": {"where": {"fold": test}}} if test else {}
    )
    array = np.array(key, dtype=object if isinstance(key[0], str) else None)
    splitter = make_splitter(spec(**parts), len(key), array)
    assert splitter.of(0, len(key)).tolist() == marks
    assert splitter.of(1, 3).tolist() == marks[1:3]


@pytest.mark.parametrize(
    ("key", "validation", "test", "field", "got"),
    [
        ([1, 2, 3], 4, None, "data.validation.where", "no row with fold 4"),
        ([1, 2, 3], "a", None, "data.validation.where", "no row with fold a"),
        ([1, 2, 3], 3, [2, 3], "data.test.where", "1 rows that are in validation too"),
        ([1, 2, 3], 3, [1, 2], "data.train", "train rows: 0, as `where` takes all"),
    ],
)
def test_values_that_do_not_split(key: list[int], validation: Any, test: Any, field: str, got: str) -> None:
    parts: dict[str, Any] = {"validation": {"where": {"fold": validation}}} | (
        {"test": {"where": {"fold": test}}} if test else {}
    )
    assert refused(spec(**parts), key) == (field, got)


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        ({"validation": 0.1}, []),
        ({"validation": 0.1, "stratify": True}, ["y"]),
        ({"validation": 0.1, "stratify": "s"}, ["s"]),
        ({"validation": 0.1, "group": "g"}, ["g"]),
        ({"test": {"where": {"fold": 1}}}, ["fold"]),
    ],
)
def test_the_column_that_splits(data: dict[str, Any], columns: list[str]) -> None:
    assert key_columns(spec(**data).data) == columns


def test_the_key_is_one_value_a_row() -> None:
    job: DataSpec = spec(validation=0.1, group="g").data
    key = read_key(pa.table({"g": ["a", "b"]}), job)
    assert key is not None
    assert key.tolist() == ["a", "b"]
    assert read_key(pa.table({"g": [1]}), spec(validation=0.1).data) is None
    with pytest.raises(UserCodeError, match="1 empty cells in column `g`"):
        read_key(pa.table({"g": ["a", None]}), job)
    with pytest.raises(UserCodeError, match=r"column `g` of shape \(1, 2\), by which the rows are to be split"):
        read_key(pa.table({"g": [[1, 2]]}), job)


@pytest.mark.parametrize(("there", "got"), [(140, "more than 100 rows"), (99, "99 rows")])
@pytest.mark.parametrize("more", [{"validation": 0.2}, {"validation": {"where": {"fold": 1}}}, {}])
def test_a_source_that_changes_while_it_is_read_is_refused(there: int, got: str, more: dict[str, Any]) -> None:
    splitter = make_splitter(spec(**more), 100, np.arange(100) % 5)
    tables = [pa.table({"x": range(there)}).slice(start, 30) for start in range(0, there, 30)]
    with pytest.raises(UserCodeError, match="the source changed while it was read") as refusal:
        list(train_rows(iter(tables), splitter, field="data.train.sql"))
    assert (refusal.value.problems[0].field, refusal.value.problems[0].got) == ("data.train.sql", got)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_values_are_not_cut_to_the_type_of_the_column(dtype: Any) -> None:
    key = np.array([1, 44, 2, 1], dtype)
    got = refused(spec(validation={"where": {"fold": [1.5, 300, -255]}}), key)
    assert got == ("data.validation.where", "no row with fold 1.5 or 300 or -255")
    splitter = make_splitter(spec(validation={"where": {"fold": [2.0, 1.5]}}), 4, key)
    assert splitter.of(0, 4).tolist() == [0, 0, 1, 0]


def test_numbers_that_float32_cannot_tell_apart_are_groups_of_their_own() -> None:
    table = pa.table({"g": [100000000.0, 100000001.0, 100000002.0, 5.0]})
    for data in ({"group": "g"}, {"validation": {"where": {"g": 100000001}}}):
        key = read_key(table, spec(**{"validation": 0.25} | data).data)
        assert key is not None
        assert len(set(key.tolist())) == 4
    assert rows_of(make_splitter(spec(validation={"where": {"g": 100000001}}), 4, key))["validation"] == [1]
