"""The sets that come with scikit-learn: rows and columns, known without importing it.

Every set offers `features` (all of them as one vector), `target`, and each feature under scikit-learn's own name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_CELL = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness"),
    *("concavity", "concave points", "symmetry", "fractal dimension"),
)


@dataclass(frozen=True, kw_only=True)
class SklearnSet:
    """One set's shape.

    Attributes:
        features: scikit-learn's `feature_names`, in order: the elements of the vector column `features`.
        targets: names of the target's elements, in order, where it is a vector; empty where it is a number.
        aliases: other names of the two vector columns, such as `image` for `features`.
    """

    rows: int
    features: tuple[str, ...]
    targets: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("features", "target", *self.aliases, *self.features, *self.targets)


SKLEARN_SETS: dict[str, SklearnSet] = {
    "digits": SklearnSet(
        rows=1797,
        features=tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
        aliases={"image": "features", "digit": "target"},
    ),
    "iris": SklearnSet(
        rows=150, features=("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
    ),
    "wine": SklearnSet(
        rows=178,
        features=(
            *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
            *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines"),
            "proline",
        ),
    ),
    "breast_cancer": SklearnSet(
        rows=569,
        features=(
            *(f"mean {name}" for name in _CELL),
            *(f"{name} error" for name in _CELL),
            *(f"worst {name}" for name in _CELL),
        ),
    ),
    "diabetes": SklearnSet(rows=442, features=("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")),
    "linnerud": SklearnSet(rows=20, features=("Chins", "Situps", "Jumps"), targets=("Weight", "Waist", "Pulse")),
}
