"""Small value types of the spec: a reference into the user's Python, a duration, a job name."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from raytrain.run.run_id import RUN_NAME
from raytrain.spec.pydantic_bases import custom_error

_PYTHON_REF = re.compile(r"[^:\s][^:]*\.py:[A-Za-z_]\w*")
NAME_RULE = "1 to 40 of a-z, 0-9, _ and -, beginning with a letter or digit"
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")

_CALLBACKS = (
    "BackupAndRestore",
    "CSVLogger",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
)


def check_python_ref(text: str) -> str:
    if not _PYTHON_REF.fullmatch(text):
        raise custom_error("FILE.py:FUNCTION, such as model.py:build_model")
    return text


def split_python_ref(ref: str) -> tuple[str, str]:
    """`model.py:build_model` as (`model.py`, `build_model`)."""
    file, function = ref.rsplit(":", 1)
    return file, function


def is_python_ref(value: object) -> bool:
    return isinstance(value, str) and _PYTHON_REF.fullmatch(value) is not None


def parse_duration_s(value: object) -> float:
    """Seconds of `90`, `"90s"`, `"15m"`, `"1h30m"`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not value:
        raise custom_error("seconds, or a duration such as 90s, 15m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def parse_class_index(value: object) -> object:
    """JSON, in which a spec travels, has no whole numbers for keys: `"1"` is class 1 too."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def whole_number_as_text(value: object) -> object:
    """`1` as `"1"`: what YAML reads as a whole number is text to the environment."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def check_name(text: str) -> str:
    if not RUN_NAME.fullmatch(text):
        raise custom_error(NAME_RULE)
    return text


def check_callback(name: str) -> str:
    """Refuses a name that is nearly one of Keras' own callbacks; any other may be registered by the user's code."""
    near = get_close_matches(name.lower(), [known.lower() for known in _CALLBACKS], n=1, cutoff=0.85)
    known = {own.lower(): own for own in _CALLBACKS}
    if name not in _CALLBACKS and near:
        raise custom_error("a callback of Keras or of your own", got=name, fix=f"did you mean `{known[near[0]]}`?")
    return name


PythonRef = Annotated[
    str, AfterValidator(check_python_ref), WithJsonSchema({"type": "string", "pattern": f"^{_PYTHON_REF.pattern}$"})
]
DurationS = Annotated[
    float,
    Field(gt=0),
    BeforeValidator(parse_duration_s),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^(?=.){_DURATION.pattern}$"},
                {"type": "number", "exclusiveMinimum": 0},
            ]
        }
    ),
]
ClassIndex = Annotated[int, BeforeValidator(parse_class_index)]
CallbackName = Annotated[str, AfterValidator(check_callback)]
JobName = Annotated[str, AfterValidator(check_name)]
EnvironmentValue = Annotated[
    str, BeforeValidator(whole_number_as_text), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})
]
