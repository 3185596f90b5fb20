"""The job spec's JSON Schema, for editors: completion and red underlines while a job.yaml is written."""

from __future__ import annotations

from typing import Any

from raytrain.spec.schema import JobSpec

_PYTHON_REF = {"type": "string", "pattern": r"^[^:\s][^:]*\.py:[A-Za-z_]\w*$"}
_DURATION = {"type": "string", "pattern": r"^(?=.)(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?$"}
_ONE_KIND = ("ModelSpec", "Source", "Preprocess")


def job_json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a job.yaml: pydantic's own, with the short forms that people write."""
    schema = JobSpec.model_json_schema()
    definitions, properties = schema["$defs"], schema["properties"]
    properties["model"] = {"anyOf": [_PYTHON_REF, properties["model"]]}
    properties["compile"]["anyOf"].insert(0, _PYTHON_REF)
    schema["required"].remove("name")  # the folder's name stands in
    time_limit = definitions["FitSpec"]["properties"]["time_limit"]
    time_limit["anyOf"].insert(0, _DURATION)
    for name in _ONE_KIND:
        definitions[name] |= {"minProperties": 1, "maxProperties": 1}
        for kind in definitions[name]["properties"].values():
            _without_null(kind)
    _one_key(definitions["ModelSpec"]["properties"]["layers"])
    for branch in properties["callbacks"]["anyOf"]:
        _one_key(branch)
    definitions["FitSpec"]["properties"]["class_weight"]["anyOf"][0]["propertyNames"] = {"pattern": r"^\d+$"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "raytrain job"} | {
        key: value for key, value in schema.items() if key != "title"
    }


def _without_null(part: dict[str, Any]) -> None:
    """Of `kind: value | null` only the value: the other kinds are left out, not null."""
    part.pop("default", None)
    branches = [branch for branch in part.pop("anyOf", []) if branch != {"type": "null"}]
    if len(branches) == 1:
        part |= branches[0]
    elif branches:
        part["anyOf"] = branches


def _one_key(part: dict[str, Any]) -> None:
    """Each item of a list is a map of one name."""
    if part.get("type") == "array":
        part["items"] |= {"minProperties": 1, "maxProperties": 1}
