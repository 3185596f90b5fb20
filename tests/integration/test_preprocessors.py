"""Holds the preprocessing steps to Ray Data's preprocessors, fitted by Ray Data itself.

Its RobustScaler needs a package that Ray does not bring; `robust` is held to scikit-learn's instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import ray
from ray.data import preprocessors as rays

from tests.data.preprocess.tables import features, job

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.normal(5, 3, 100)
TEXT = GENERATOR.choice(["red", "green", "blue"], 100).tolist()
LISTS = [["a", "b"], ["b"], ["c", "b", "b"]] * 30
SENTENCES = ["to be or not", "to be", "be be that is"] * 30
X = ["x"]


@pytest.mark.parametrize(
    ("step", "preprocessor", "values"),
    [
        ({"standardize": {}}, rays.StandardScaler(X), NUMBERS),
        ({"min_max": {}}, rays.MinMaxScaler(X), NUMBERS),
        ({"max_abs": {}}, rays.MaxAbsScaler(X), NUMBERS),
        ({"power": {"power": 0.5}}, rays.PowerTransformer(X, 0.5), NUMBERS),
        ({"power": {"power": 0.5, "method": "box-cox"}}, rays.PowerTransformer(X, 0.5, "box-cox"), np.abs(NUMBERS)),
        ({"impute": {}}, rays.SimpleImputer(X), [1.0, None, 4.0] * 30),
        ({"impute": {"strategy": "most_frequent"}}, rays.SimpleImputer(X, "most_frequent"), [1.0, None, 4.0, 4.0] * 9),
        ({"bucket": {"bins": [2.0, 5.0]}}, rays.CustomKBinsDiscretizer(X, [-99, 2.0, 5.0, 99]), NUMBERS),
        ({"encode": {}}, rays.OrdinalEncoder(X), TEXT),
        ({"one_hot": {}}, rays.OneHotEncoder(X), TEXT),
        ({"multi_hot": {}}, rays.MultiHotEncoder(X), LISTS),
        ({"count": {"max_features": 2}}, rays.CountVectorizer(X, max_features=2), ["a b b", "b a c b"] * 30),
        ({"hash": {"features": 7}}, rays.HashingVectorizer(X, 7), SENTENCES),
    ],
)
def test_a_step_gives_what_the_preprocessor_of_ray_data_gives(step: Any, preprocessor: Any, values: Any) -> None:
    [(kind, options)] = step.items()
    found = features(job({kind: options | {"columns": X}}), {"x": list(values)})
    expected = preprocessor.fit_transform(ray.data.from_pandas(pd.DataFrame({"x": values}))).to_pandas()["x"]
    np.testing.assert_allclose(found, np.stack(expected.to_list()).astype(float), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalize_is_that_of_ray_data(norm: Any) -> None:
    columns = {"a": NUMBERS, "b": NUMBERS[::-1].copy()}
    spec = job({"normalize": {"columns": ["a", "b"], "norm": norm}}, features=["a", "b"])
    dataset = ray.data.from_pandas(pd.DataFrame(columns))
    expected = rays.Normalizer(["a", "b"], norm).transform(dataset).to_pandas()[["a", "b"]].to_numpy(dtype=float)
    np.testing.assert_allclose(features(spec, columns), expected, rtol=1e-5)
