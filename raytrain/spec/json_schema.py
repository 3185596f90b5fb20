"""The job spec's JSON Schema, for editors: completion and red underlines while a job.yaml is written."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from raytrain.spec.job import JobSpec
from raytrain.spec.pydantic_bases import OneOf
from raytrain.spec.tracking import Tracker
from raytrain.spec.value_types import PythonRef


def job_json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a job.yaml: pydantic's own, with the short forms that people write."""
    schema = JobSpec.model_json_schema()
    definitions, properties = schema["$defs"], schema["properties"]
    python_ref = TypeAdapter(PythonRef).json_schema()
    properties["model"] = {"anyOf": [python_ref, properties["model"]]}
    properties["compile"]["anyOf"].insert(0, python_ref)
    schema["required"].remove("name")  # the folder's name stands in
    scaling = definitions["ScalingSpec"]["properties"]
    scaling["workers"] = {"anyOf": [scaling["workers"], _range_of(scaling["workers"])]}
    for name in definitions.keys() & {kind.__name__ for kind in OneOf.__subclasses__()}:
        definitions[name] |= {"minProperties": 1, "maxProperties": 1}
        for kind in definitions[name]["properties"].values():
            _without_null(kind)
    tracker = properties["tracking"]["items"]
    properties["tracking"]["items"] = {"anyOf": [{"enum": sorted(Tracker.model_fields)}, tracker]}
    definitions["FitSpec"]["properties"]["class_weight"]["anyOf"][0]["propertyNames"] = {"pattern": r"^\d+$"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "raytrain job"} | {
        key: value for key, value in schema.items() if key != "title"
    }


def _range_of(count: dict[str, Any]) -> dict[str, Any]:
    """`{min: 2, max: 8}` in the place of one number."""
    limits = {name: count[name] for name in ("type", "minimum", "maximum")}
    return {
        "type": "object",
        "properties": {"min": limits, "max": limits},
        "required": ["min", "max"],
        "additionalProperties": False,
    }


def _without_null(part: dict[str, Any]) -> None:
    """Of `kind: value | null` only the value: the other kinds are left out, not null."""
    part.pop("default", None)
    branches = [branch for branch in part.pop("anyOf", []) if branch != {"type": "null"}]
    if len(branches) == 1:
        part |= branches[0]
    elif branches:
        part["anyOf"] = branches
