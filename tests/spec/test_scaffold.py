import ast
from pathlib import Path

import pytest

from raytrain.errors import UsageError
from raytrain.spec.checks import check_job
from raytrain.spec.job import JobSpec
from raytrain.spec.load import load_job
from raytrain.spec.scaffold import scaffold


@pytest.mark.parametrize("name", ["digits", "my-job_2", "123", "1e5", "null", "true"])
def test_what_it_writes_loads_and_checks_clean(tmp_path: Path, name: str) -> None:
    files = scaffold(name, tmp_path)
    assert files == [tmp_path / name / "job.yaml", tmp_path / name / "model.py"]
    job = load_job(str(tmp_path / name))
    assert job.spec.name == name
    facts = check_job(job)
    assert facts.rows is not None
    assert facts.rows.train == 1437


def test_every_section_of_the_spec_is_shown(tmp_path: Path) -> None:
    text = scaffold("mine", tmp_path)[0].read_text()
    for section in JobSpec.model_fields:
        assert f"\n{section}:" in text or f"\n# {section}:" in text, section


def test_its_comments_name_the_job(tmp_path: Path) -> None:
    text = scaffold("mine", tmp_path)[0].read_text()
    assert "raytrain submit mine`" in text
    assert "NAME" not in text


def test_its_model_is_python(tmp_path: Path) -> None:
    tree = ast.parse(scaffold("mine", tmp_path)[1].read_text())
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["build_model"]


@pytest.mark.parametrize("there", ["job.yaml", "model.py"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / there).write_text("precious")
    with pytest.raises(UsageError, match="which exists"):
        scaffold("mine", tmp_path)
    assert [file.read_text() for file in (tmp_path / "mine").iterdir()] == ["precious"]


@pytest.mark.parametrize("name", ["", "My Job", "../x", "a/b", "-x"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="expected 1 to 40 of a-z"):
        scaffold(name, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="a folder that can be written to"):
        scaffold("mine", tmp_path / "file")
