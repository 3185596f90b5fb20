from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder

from raytrain.errors import UserCodeError
from tests.data.preprocess.tables import features, job

X = {"columns": ["x"]}


MAY_BE_BLANK = {"x": {"fill": ""}}


def refused(step: dict[str, Any], train: Any, other: Any = None) -> tuple[str, str]:
    with pytest.raises(UserCodeError) as caught:
        features(job(step), {"x": train}, {"x": train if other is None else other})
    [problem] = caught.value.problems
    return problem.field, problem.got


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_one_hot_of_whole_numbers_is_that_of_scikit_learn(dtype: Any) -> None:
    values = np.array([2, 0, 1, 2, 3])
    found = features(job({"one_hot": X | {"classes": 5}}), {"x": values.astype(dtype)})
    encoder = OneHotEncoder(categories=[range(5)], sparse_output=False)
    np.testing.assert_array_equal(found, encoder.fit_transform(values[:, None]))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("values", "got"),
    [([0, 3], "values from 0 to 3"), ([-1, 2], "values from -1 to 2"), ([0.5, 1.0], "values from 0.5 to 1.0")],
)
def test_one_hot_refuses_what_is_no_class(values: list[float], got: str) -> None:
    assert refused({"one_hot": X | {"classes": 3}}, [0, 1], values) == ("data.preprocess.0.one_hot", got)


@pytest.mark.parametrize("values", [["b", "a", "c"], [7, -1, 9], [0.5, 0.25, 1.5], [True, False, True]])
def test_categories_are_those_of_train_in_order(values: list[Any]) -> None:
    order = sorted(set(values))
    found = features(job({"encode": X}), {"x": values})
    assert found.tolist() == [order.index(value) for value in values]
    assert found.dtype == np.int64
    vectors = features(job({"one_hot": X}), {"x": values})
    np.testing.assert_array_equal(vectors, np.eye(len(order))[found])


def test_numbers_may_begin_elsewhere_and_others_have_one_of_their_own() -> None:
    spec = job({"encode": X | {"start": 2, "unseen": 1}})
    assert features(spec, {"x": ["b", "a"]}, {"x": ["b", "?", "a"]}).tolist() == [3, 1, 2]


def test_what_train_does_not_have_is_zeros_if_that_is_wanted() -> None:
    spec = job({"one_hot": X | {"unseen": "ignore"}})
    assert features(spec, {"x": ["b", "a"]}, {"x": ["b", "?"]}).tolist() == [[0, 1], [0, 0]]
    spec = job({"multi_hot": X | {"unseen": "ignore"}})
    assert features(spec, {"x": [["b"], ["a"]]}, {"x": [["b", "?", "b"]]}).tolist() == [[0, 2]]


@pytest.mark.parametrize("kind", ["encode", "one_hot"])
def test_what_train_does_not_have_is_refused_by_name(kind: str) -> None:
    got = "d, e in column `x`, which no train row has"
    assert refused({kind: X}, ["a", "b"], ["a", "d", "e"]) == (f"data.preprocess.0.{kind}", got)
    assert refused({kind: X}, [1, 2], [2, 3]) == (
        f"data.preprocess.0.{kind}",
        "3 in column `x`, which no train row has",
    )


def test_lists_are_encoded_by_element_and_counted() -> None:
    lists = [["b", "a"], [], ["b", "b", "c"]]
    spec = job({"encode": X | {"start": 1}}, {"pad": X | {"length": 3}})
    assert features(spec, {"x": lists}).tolist() == [[2, 1, 0], [0, 0, 0], [2, 2, 3]]
    assert features(job({"multi_hot": X}), {"x": lists}).tolist() == [[1, 1, 0], [0, 0, 0], [0, 2, 1]]
    numbers = np.array([[5, 6], [6, 6]])
    assert features(job({"encode": X}), {"x": numbers}).tolist() == [[0, 1], [1, 1]]
    assert features(job({"multi_hot": X}), {"x": numbers}).tolist() == [[1, 1], [0, 2]]


def test_text_becomes_numbers_of_tokens() -> None:
    spec = job(
        {"tokenize": X | {"lowercase": True, "pattern": r"\w+"}},
        {"encode": X | {"start": 2, "unseen": 1}},
        {"pad": X | {"length": 3}},
        columns=MAY_BE_BLANK,
    )
    train = {"x": ["To be, or", "not to be"]}
    assert features(spec, train).tolist() == [[5, 2, 4], [3, 5, 2]]
    assert features(spec, train, {"x": ["To see", "", "a b to be"]}).tolist() == [[5, 1, 0], [0, 0, 0], [1, 1, 5]]


def test_lists_are_padded() -> None:
    lists = {"x": [[1.5], [2, 3]]}
    assert features(job({"pad": X | {"length": 2, "value": 9}}), lists).tolist() == [[1.5, 9], [2, 3]]
    assert refused({"pad": X | {"length": 1, "truncate": False}}, [[1], [2, 3]]) == (
        "data.preprocess.0.pad",
        "a list of 2 elements in column `x`",
    )


def test_the_most_frequent_tokens_are_counted() -> None:
    train, other = {"x": ["to be or", "not to be to"]}, {"x": ["be be no", ""]}
    assert features(job({"count": X}), train).tolist() == [[1, 1, 0, 1], [2, 1, 1, 0]]  # to, be, not, or
    assert features(job({"count": X | {"max_features": 2}}, columns=MAY_BE_BLANK), train, other).tolist() == [
        [0, 2],
        [0, 0],
    ]
    lists = {"x": [["a"], ["b", "b"]]}
    assert features(job({"count": X}), lists).tolist() == [[0, 1], [2, 0]]


def test_tokens_are_counted_by_their_hash() -> None:
    counts = features(job({"hash": X | {"features": 5}}, columns=MAY_BE_BLANK), {"x": ["to be to", "to", ""]})
    assert counts.shape == (3, 5)
    assert counts.sum(axis=1).tolist() == [3, 1, 0]
    assert (counts[0] - counts[1] >= 0).all()
    lists = features(job({"hash": X | {"features": 5}}), {"x": [["to", "be", "to"], ["to"], []]})
    np.testing.assert_array_equal(lists, counts)


@pytest.mark.parametrize("kind", ["count", "hash", "tokenize"])
def test_numbers_are_no_text(kind: str) -> None:
    step = {kind: X | ({"features": 4} if kind == "hash" else {})}
    assert refused(step, [1, 2])[0] == f"data.preprocess.0.{kind}"


def test_values_of_several_kinds_are_refused(tmp_path: Any) -> None:
    (tmp_path / "mix.py").write_text("def mix(batch): return {'x': [1, 'a']}\n")
    (tmp_path / "mix.py").write_text(
        "import numpy as np\ndef mix(batch): return {'x': np.array([1, 'a'], dtype=object)}\n"
    )
    spec = job({"python": "mix.py:mix"}, {"encode": X})
    with pytest.raises(UserCodeError, match=r"values of several kinds in column `x` \(int and str\)"):
        features(spec, {"x": [1, 2]}, folder=tmp_path)


IDS = [100000001.0, 100000002.0, 100000003.0, 5.0]


def test_numbers_that_float32_cannot_tell_apart_are_categories_of_their_own() -> None:
    assert features(job({"encode": X}), {"x": IDS}).tolist() == [1, 2, 3, 0]
    assert features(job({"one_hot": X}), {"x": IDS}).shape == (4, 4)
    lists = features(job({"multi_hot": X}), {"x": [IDS[:2], IDS[2:]]})
    assert lists.tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]


@pytest.mark.parametrize("step", [{"encode": X | {"unseen": 0, "start": 1}}, {"one_hot": X | {"unseen": "ignore"}}])
@pytest.mark.parametrize(("train", "other"), [(["12", "7A"], [12, 15]), ([12, 15], ["12", "7A"])])
def test_numbers_among_text_are_no_unseen_values_but_a_mistake(step: dict[str, Any], train: Any, other: Any) -> None:
    kinds = ("numbers", "text") if isinstance(train[0], str) else ("text", "numbers")
    assert (
        f"{kinds[0]} in column `x` ({other[0]}), which holds {kinds[1]} in the train rows"
        in refused(step, train, other)[1]
    )


def test_nan_is_no_category() -> None:
    assert refused({"encode": X}, np.array([1.0, np.nan]))[1] == "1 empty cells in column `x` of fractions"
