"""Tests of what is refused because the spec names it and the upload would leave it behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raytrain.client.submit import prepare
from raytrain.errors import Problem, SpecError
from raytrain.spec.checks import check_job
from raytrain.spec.load import load_job
from tests.conftest import MakeFolder
from tests.saved_models import write_saved_model
from tests.spec.conftest import accepted

JOB = """\
name: small
model: src/model.py:build_model
data: {train: {inline: {x: [1, 2], y: [0, 1]}}, features: x, label: y}
"""
FILES = {
    "job.yaml": JOB,
    "src/model.py": "def build_model(): ...\ndef rows(): ...\ndef step(batch): ...\ndef made(): ...\n",
    "a.csv": "x,y\n1,0\n2,1\n",
    "data/b.csv": "x,y\n1,0\n",
    "data/c.csv": "x,y\n3,1\n",
    "data/notes.md": "",
    "pictures/cat/1.png": "",
    "table/_delta_log/0.json": "",
    "table/part.parquet": "",
    "table/__pycache__/read.pyc": "",
    "base.keras": "a model",
    "requirements.txt": "",
    "lib/setup.py": "",
    "lib/notes.md": "",
    ".git/d.csv": "x,y\n1,0\n",
    "runs/old/e.csv": "x,y\n1,0\n",
}
CSV = "data.train={csv: NAMES}"
PIP = "environment.pip=['NAME']"
IN_UPLOAD = "${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}"


def left(folder: Path, *overrides: str) -> list[Problem]:
    """The problems of a job with what stays behind; others, such as those of an empty picture, are not asked for."""
    try:
        check_job(load_job(str(folder), overrides=["data.features=x", "data.label=y", *overrides]))
    except SpecError as error:
        return [problem for problem in error.problems if problem.expected == "all that the job names to travel with it"]
    return []


def exclude(*patterns: str) -> str:
    return f"environment.exclude={json.dumps(patterns)}"


@pytest.mark.parametrize(
    ("override", "pattern", "got"),
    [
        ("data.train={csv: a.csv}", "*.csv", "a.csv, which `*.csv` leaves out, though data.train.csv names it"),
        ("data.train={csv: ./data/../a.csv}", "/a.csv", "a.csv, which `/a.csv` leaves out, though data.train.csv"),
        ("data.train={csv: data}", "c.csv", "data/c.csv, which `c.csv` leaves out, though data.train.csv names it"),
        ("data.train={csv: data}", "data/", "data/b.csv and 1 more, which `data/` leaves out, though data.train.csv"),
        ("data.train={csv: 'data/*.csv'}", "[bc].csv", "data/b.csv and 1 more, which `[bc].csv` leaves out"),
        ("data.validation={csv: [a.csv, data/c.csv]}", "data", "data/c.csv, which `data` leaves out, though data.vali"),
        ("data.test={images: pictures}", "*.png", "pictures/cat/1.png, which `*.png` leaves out, though data.test.ima"),
        (
            "data.train={images: {table: {csv: a.csv}, folder: pictures, size: [1, 1]}}",
            "*.csv",
            "a.csv, which `*.csv` leaves out, though data.train.images.table.csv names it",
        ),
        (
            "data.train={images: {table: {csv: a.csv}, folder: pictures, size: [1, 1]}}",
            "pictures/",
            "pictures/, which `pictures/` leaves out, though data.train.images.folder names it",
        ),
        ("data.train={numpy: {x: a.csv}}", "*.csv", "a.csv, which `*.csv` leaves out, though data.train.numpy.x names"),
        (
            "data.train={delta: table}",
            "*.json",
            "table/_delta_log/0.json, which `*.json` leaves out, though data.train",
        ),
        ("data.train={lance: {path: table}}", "*.parquet", "table/part.parquet, which `*.parquet` leaves out"),
        ("data.train={huggingface: table}", "table", "table/_delta_log/0.json and 1 more, which `table` leaves out"),
        (
            "data.train={huggingface: {path: csv, data_files: [data/*.csv]}}",
            "c.csv",
            "data/c.csv, which `c.csv` leaves out, though data.train.huggingface.data_files names it",
        ),
        ("model=src/model.py:build_model", "src/", "src/model.py, which `src/` leaves out, though model names it"),
        ("data.train={python: 'src/b.py:rows'}", "b.py", "src/b.py, which `b.py` leaves out, though data.train.python"),
        (
            "data.train={sql: {query: q, connect: 'src/b.py:rows'}}",
            "b.py",
            "src/b.py, which `b.py` leaves out, though data.train.sql.connect names it",
        ),
        ("data.preprocess=[{python: 'src/b.py:step'}]", "b.py", "src/b.py, which `b.py` leaves out, though data.prep"),
        ("callbacks=src/b.py:made", "b.py", "src/b.py, which `b.py` leaves out, though callbacks names it"),
        ("compile={metrics: ['src/b.py:made']}", "b.py", "src/b.py, which `b.py` leaves out, though compile.metrics.0"),
        (
            PIP.replace("NAME", f"-r {IN_UPLOAD}/requirements.txt"),
            "*.txt",
            "requirements.txt, which `*.txt` leaves out, though environment.pip.0 names it",
        ),
        (PIP.replace("NAME", f"{IN_UPLOAD}/lib"), "lib", "lib/, which `lib` leaves out, though environment.pip.0"),
    ],
)
def test_what_the_spec_names_is_refused_by_name(override: str, pattern: str, got: str, make_folder: MakeFolder) -> None:
    folder = make_folder({**FILES, "src/b.py": FILES["src/model.py"]})

    assert left(folder, override) == []
    [problem] = left(folder, override, exclude(pattern))
    assert problem.got.startswith(got)
    assert problem.field == "environment.exclude"
    assert problem.fix.startswith(f"take `{pattern}` out")


@pytest.mark.parametrize(
    ("overrides", "patterns"),
    [
        (["data.train={csv: data}"], ["*.md"]),
        (["data.train={csv: 'data/b*'}"], ["c.csv"]),
        (["data.train={csv: a.csv}"], ["*.csv", "!a.csv"]),
        (["data.train={delta: table}"], ["*.md"]),
        (["data.train={delta: s3://bucket/table}"], ["bucket", "table", "s3:"]),
        (["data.train={huggingface: ..}"], ["*.csv"]),
        (["data.train={images: {table: {csv: a.csv}, column: x, size: [1, 1]}}"], ["*", "!*.csv", "!src/", "!*.py"]),
        (["data.train={huggingface: someone/table}"], ["table"]),
        (["model.file=base.keras"], ["*.keras"]),
        (["model=src/model.py:with_base", "init_from=base.keras"], ["*.keras"]),
        ([PIP.replace("NAME", f"{IN_UPLOAD}/lib")], ["*.md"]),
        (["storage=runs"], ["runs"]),
    ],
)
def test_what_travels_or_need_not_is_accepted(
    overrides: list[str], patterns: list[str], make_folder: MakeFolder
) -> None:
    folder = make_folder({**FILES, "src/model.py": FILES["src/model.py"] + "def with_base(base): ...\n"})
    (folder.parent / "beside.csv").touch()
    write_saved_model(folder / "base.keras")

    accepted(folder, *overrides, exclude(*patterns))


def test_an_absolute_path_is_no_part_of_the_upload(make_folder: MakeFolder) -> None:
    folder = make_folder(FILES)

    accepted(folder, CSV.replace("NAMES", str(folder / "a.csv")), exclude("*.csv"))


def test_what_never_travels_is_told_at_the_field_that_names_it(make_folder: MakeFolder) -> None:
    [problem] = left(make_folder(FILES), "data.train={csv: .git/d.csv}", exclude("!.git"))

    assert problem.got == ".git/d.csv, which lies in .git and stays behind, though data.train.csv names it"
    assert problem.field == "data.train.csv"
    assert problem.fix == "move it to a folder of another name"


def test_data_among_the_runs_is_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(FILES)
    override = "data.train={csv: runs/old/e.csv}"

    [problem] = left(folder, override, "storage=runs")
    assert problem.got.startswith("runs/old/e.csv, which lies in runs/ with the runs and stays behind")
    assert (problem.field, problem.fix) == ("data.train.csv", "set storage to another folder")
    accepted(folder, override, "storage=elsewhere")


@pytest.mark.parametrize("name", ["a.csv", "x[1].csv", "data/b.csv"])
def test_the_pattern_that_the_fix_adds_mends_it(name: str, make_folder: MakeFolder) -> None:
    folder = make_folder({**FILES, "x[1].csv": FILES["a.csv"]})
    override = f"data.train={{csv: '{name}'}}"

    [problem] = left(folder, override, exclude("*.csv"))
    added = problem.fix.removeprefix("take `*.csv` out, or add `").removesuffix("` after it")

    job = accepted(folder, override, exclude("*.csv", added))
    assert name in [file.path for file in prepare(job, {}).plan.files]


def test_a_folder_left_out_is_not_to_be_mended_by_a_pattern_that_git_would_not_hear(make_folder: MakeFolder) -> None:
    [problem] = left(make_folder(FILES), "data.train={csv: data/b.csv}", exclude("data/"))

    assert problem.fix == "take `data/` out"


def test_each_name_is_told_once_with_the_line_of_the_pattern(make_folder: MakeFolder) -> None:
    text = JOB.replace("}, features", "}, test: {csv: data}, features") + (
        "callbacks: src/model.py:made\nenvironment:\n  exclude:\n    - '*.md'\n    - '*.csv'\n    - '*.py'\n"
    )
    problems = left(make_folder({**FILES, "job.yaml": text}))

    assert [(problem.got, problem.line) for problem in problems] == [
        ("src/model.py, which `*.py` leaves out, though model names it", 9),
        ("data/b.csv and 1 more, which `*.csv` leaves out, though data.test.csv names it", 8),
    ]


def test_the_rows_that_are_counted_are_those_that_travel(make_folder: MakeFolder) -> None:
    folder = make_folder(FILES)

    facts = check_job(load_job(str(folder), overrides=["data.train={csv: 'data/b*.csv'}", exclude("c.csv")]))
    assert facts.rows is not None
    assert facts.rows.train == 1
    assert left(folder, "data.train={csv: 'data/*.csv'}", exclude("c.csv")) != []


def test_a_pattern_that_cannot_be_read_has_a_line(make_folder: MakeFolder) -> None:
    folder = make_folder({**FILES, "job.yaml": JOB + "environment: {exclude: ['[z-a]']}\n"})

    with pytest.raises(SpecError, match=r"job\.yaml:4: environment\.exclude: got '\[z-a\]', which cannot be read"):
        check_job(load_job(str(folder)))
