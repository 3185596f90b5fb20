"""The pieces of a job that pages show are accepted, and so is the example of every field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate.job_fields import SCHEMA, read_examples, sections
from raytrain.spec.checks import check_job
from raytrain.spec.load import load_job
from raytrain.spec.scaffold import scaffold
from raytrain.spec.strict_yaml import read_yaml
from tests.docs.pages import PAGES, blocks, flowers_csv
from tests.spec.test_json_schema import as_json, errors

jsonschema = pytest.importorskip("jsonschema")
YAML = [
    pytest.param(text, id=f"{page}: {text.partition(chr(10))[0]}") for page in PAGES for text in blocks(page, "yaml")
]
FIELDS = {field.path: field.part for section in sections() for field in section.fields}


@pytest.mark.parametrize("text", YAML)
def test_example_is_accepted(text: str, tmp_path: Path) -> None:
    """A whole job stands for itself; a part takes the place of its keys in a new job."""
    scaffold("my_job", tmp_path)
    file = tmp_path / "my_job" / "job.yaml"
    (tmp_path / "my_job" / "flowers.csv").write_text(flowers_csv())
    if not text.startswith("name:"):
        keys = "|".join(re.findall(r"^(\w+):", text, re.MULTILINE))
        rest = re.sub(rf"^(?:{keys}):.*\n(?:[ ].*\n)*", "", file.read_text(), flags=re.MULTILINE)
        text = rest + text
    file.write_text(text)
    check_job(load_job(str(file.parent)))
    assert errors(read_yaml(file.read_bytes(), str(file)).data) == []


def test_every_field_has_an_example_and_no_other_has() -> None:
    assert read_examples().keys() == FIELDS.keys()


@pytest.mark.parametrize("path", FIELDS)
def test_example_of_a_field_is_one(path: str) -> None:
    value = as_json(read_yaml(f"value: {read_examples()[path]}\n".encode(), "example").data["value"])
    assert list(jsonschema.Draft202012Validator(FIELDS[path] | {"$defs": SCHEMA["$defs"]}).iter_errors(value)) == []
    assert value != FIELDS[path].get("default", ...)
