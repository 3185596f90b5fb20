"""README.md alone: short enough to be read standing, and its job is complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from raytrain.client.read_job import read_job
from raytrain.spec.checks import check_job
from raytrain.spec.job import JobSpec
from raytrain.spec.load import load_job
from raytrain.spec.scaffold import scaffold
from tests.docs.pages import PAGES, README, ROOT, block_with, blocks, codes, flowers_csv, tables


def test_it_is_short() -> None:
    assert len((ROOT / README).read_bytes()) <= 8192
    assert tables(PAGES[README]) == []


def test_every_page_is_named() -> None:
    assert [page for page in PAGES if page != README and f"({page})" not in PAGES[README]] == []


def test_its_job_is_complete(tmp_path: Path) -> None:
    """With a csv file of the form shown beside it, and nothing else."""
    [job] = blocks(README, "yaml")
    (tmp_path / "job.yaml").write_text(job)
    (tmp_path / "flowers.csv").write_text(flowers_csv())

    facts = check_job(load_job(str(tmp_path)))

    assert facts.rows is not None
    assert (facts.rows.train, facts.rows.validation) == (120, 30)


def test_what_other_csv_files_need_is_accepted(tmp_path: Path) -> None:
    """A number as the label, empty cells, text among the features: the pieces of YAML that the list shows."""
    [job] = blocks(README, "yaml")
    listed = re.search(r"(?:^- .*\n)+", PAGES[README].partition("files of your own need:")[2], re.MULTILINE)
    assert listed is not None
    layer, loss, metrics, columns = [yaml.safe_load(code) for code in codes(listed[0]) if ": " in code]
    spec = yaml.safe_load(job)
    spec["model"]["layers"][-1] = layer
    spec["compile"] |= loss | metrics
    spec["data"] |= columns | {"label": "price", "preprocess": [{"one_hot": {"columns": ["length"]}}]}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "flowers.csv").write_text("length,width,price\n" + "long,1.5,305\nshort,,120\n" * 50)

    check_job(load_job(str(tmp_path)))


def test_the_model_function_is_the_one_of_a_new_job(tmp_path: Path) -> None:
    _, model = scaffold("my_job", tmp_path)
    [function] = [node for node in ast.parse(model.read_text()).body if isinstance(node, ast.FunctionDef)]
    function.body = function.body[1:]  # its docstring
    [shown] = ast.parse(block_with(README, "python", "def build_model")).body
    assert ast.unparse(shown) == ast.unparse(function)


def test_its_job_in_python_is_the_one_in_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In five statements; what the YAML says of a field that Python leaves out is its default."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers").mkdir()
    [job] = blocks(README, "yaml")
    (tmp_path / "flowers/job.yaml").write_text(job)
    (tmp_path / "flowers/flowers.csv").write_text(flowers_csv())
    program = block_with(README, "python", "raytrain.submit(")
    in_python: dict[str, Any] = {"raytrain": SimpleNamespace(submit=read_fields)}

    exec(compile(program, README, "exec"), in_python)

    assert len(ast.parse(program).body) == 5
    assert in_python["run"] == load_job("flowers").spec


def read_fields(*, folder: str, workers: int, **fields: Any) -> JobSpec:
    return read_job(None, folder=folder, fields=fields, workers=workers).loaded.spec
