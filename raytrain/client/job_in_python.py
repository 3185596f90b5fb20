"""A job said in Python: the spec itself, refused in the same words as a job.yaml."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from raytrain.errors import SpecError
from raytrain.spec.job import JobSpec as Spec
from raytrain.spec.line_numbers import LineNumbers
from raytrain.spec.problems import problems_of


class JobSpec(Spec):
    """A job's fields, as in a job.yaml; hand it to `submit`, `plan` or `validate`.

    Its paths are relative to the `folder` that is given there. `docs/job-spec.md` lists every field.

    Raises:
        SpecError: a field is missing, unknown or of another kind; all problems at once.

    Example:
        >>> job = raytrain.JobSpec(
        ...     name="digits",
        ...     model={"layers": [{"Dense": {"units": 10, "activation": "softmax"}}]},
        ...     compile={"optimizer": "adam", "loss": "sparse_categorical_crossentropy"},
        ...     data={"train": {"sklearn": "digits"}},
        ...     fit={"epochs": 3},
        ... )
        >>> job.fit.epochs
        3
        >>> raytrain.validate(job).name
        'digits'
        >>> raytrain.JobSpec(name="digits", model="model.py:build_model", data={"train": {"sklearn": "digit"}})
        Traceback (most recent call last):
        raytrain.errors.SpecError: data.train.sklearn: got 'digit' (a string), expected one of digits, …
    """

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise SpecError(*problems_of(error, fields, LineNumbers("", {}))) from None
