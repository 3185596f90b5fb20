import io
from pathlib import Path

import pytest

from raytrain.errors import NotFound, RaytrainError, SpecError, UsageError
from raytrain.spec.job import JobSpec
from raytrain.spec.load import STDIN, load_job
from tests.spec.conftest import JOB_YAML, Write, refused

ROWS = "model: model.py:build_model\nstorage: /runs\ndata: "


def test_a_folder_a_file_and_standard_input_give_the_same_job(
    write_job: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_job()
    monkeypatch.chdir(folder)
    by_folder = load_job(str(folder))
    by_file = load_job(str(folder / "job.yaml"))
    by_stdin = load_job("-", stdin=io.StringIO(JOB_YAML))
    assert by_folder.spec == by_file.spec == by_stdin.spec
    assert by_folder.folder == by_file.folder == by_stdin.folder == folder
    assert [job.file for job in (by_folder, by_stdin)] == [str(folder / "job.yaml"), STDIN]


def test_an_empty_name_is_not_the_folder_one_stands_in(write_job: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_job())
    with pytest.raises(UsageError, match="an empty name of a job"):
        load_job("")


def test_the_file_is_shown_as_the_user_named_it(write_job: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_job().parent)
    job = load_job("job")
    assert job.file == "job/job.yaml"
    assert job.folder.is_absolute()
    assert job.lines.of("data.validation") == ("job/job.yaml", 5)


@pytest.mark.parametrize(("folder", "name"), [("digits", "digits"), ("My Job (2)", "my-job-2"), ("_x_", "x")])
def test_a_job_without_a_name_is_called_like_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "job.yaml").write_text("model: model.py:f\ndata: {train: {sklearn: iris}}")
    assert load_job(str(tmp_path / folder)).spec.name == name


def test_a_given_name_is_kept_even_where_it_is_wrong(write_job: Write) -> None:
    (problem,) = refused(write_job(), "name=Digits!")
    assert (problem.field, problem.file) == ("name", "--set name=Digits!")


@pytest.mark.parametrize(
    ("storage", "absolute"),
    [("~/runs", "~/runs"), ("/runs", "/runs"), ("runs", "{job}/runs"), ("../runs", "{job}/../runs")],
)
def test_relative_storage_lies_beside_the_spec(write_job: Write, storage: str, absolute: str) -> None:
    folder = write_job()
    expected = absolute.format(job=folder).replace("job/../", "")
    assert load_job(str(folder), overrides=[f"storage={storage}"]).spec.storage == expected


@pytest.mark.parametrize("storage", ["s3://bucket/x", "gs://b", "hdfs://h/x", "s3://b/x?region=eu-west-1"])
def test_object_stores_are_left_as_they_are_written(write_job: Write, storage: str) -> None:
    assert load_job(str(write_job()), overrides=[f"storage={storage}"]).spec.storage == storage


def test_a_key_in_a_storage_uri_is_refused_and_not_shown(write_job: Write) -> None:
    (problem,) = refused(write_job(), "storage=s3://name:hunter2@bucket/runs")
    assert "hunter2" not in f"{problem.got}{problem.expected}{problem.fix}"
    assert problem.field == "storage"


@pytest.mark.parametrize("storage", ["file:///x", "http://host/x"])
def test_other_kinds_of_uri_are_refused(write_job: Write, storage: str) -> None:
    (problem,) = refused(write_job(), f"storage={storage}")
    assert "s3://" in problem.expected
    assert problem.field == "storage"


def test_a_job_that_is_not_there_is_not_found(tmp_path: Path, write_job: Write) -> None:
    write_job()
    with pytest.raises(NotFound, match="did you mean `job`"):
        load_job(str(tmp_path / "jop"))
    with pytest.raises(NotFound, match="raytrain init"):
        load_job(str(tmp_path / "no" / "where"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"empty/job.yaml, which does not exist"):
        load_job(str(tmp_path / "empty"))


def test_a_file_that_is_no_yaml_is_wrong_usage(write_job: Write) -> None:
    with pytest.raises(UsageError, match=r"model.py"):
        load_job(str(write_job() / "model.py"))


@pytest.mark.parametrize("text", ["- a\n", "just words", "5"])
def test_anything_but_a_map_is_refused(write_job: Write, text: str) -> None:
    assert refused(write_job(text))[0].expected.startswith("a map of fields")


def test_all_problems_come_at_once_and_unknown_keys_last(write_job: Write) -> None:
    problems = refused(write_job(JOB_YAML + "fit: {epochs: '3', seeed: 1}\nscaling: {workers: 0}\n"))
    assert [(p.field, p.line) for p in problems] == [("scaling.workers", 7), ("fit.epochs", 6), ("fit.seeed", 6)]


def test_sklearn_defaults(write_job: Write) -> None:
    data = load_job(str(write_job())).spec.data
    assert (data.features, data.label) == ("features", "target")
    explicit = load_job(str(write_job()), overrides=["data.label=null", "data.features=image"]).spec.data
    assert (explicit.features, explicit.label) == ("image", None)
    assert load_job(str(write_job()), overrides=["data.stratify=true"]).spec.data.stratify is True


@pytest.mark.parametrize(
    "source",
    [
        "{train: {csv: t.csv}, label: y, weight: w}",
        "{train: {inline: {a: [1], y: [2], w: [3], b: [4]}}, label: y, weight: w}",
        "{train: {inline: [{a: 1, y: 2, w: 3, b: 4}]}, label: {out: y}, weight: w}",
        "{train: {inline: [{a: 1, y: 2, b: 4, __index_level_0__: 7}]}, label: y}",
    ],
)
def test_features_left_out_are_all_other_columns(write_job: Write, source: str) -> None:
    folder = write_job(ROWS + source, t__csv="a,y,w,b\n1,2,3,4\n")
    assert load_job(str(folder)).spec.data.features == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "got"),
    [
        ("{train: {python: 'data.py:load'}}", "not known before the run"),
        ("{train: {csv: 's3://b/x.csv'}}", "not known before the run"),
        ("{train: {inline: [{y: 1}]}, label: y}", "no feature column"),
        ("{train: {csv: nope.csv}}", "nope.csv, which does not exist"),
    ],
)
def test_features_that_cannot_be_known_are_asked_for(write_job: Write, source: str, got: str) -> None:
    (problem,) = refused(write_job(ROWS + source))
    assert got in problem.got
    assert problem.line == 3


def test_values_that_json_cannot_carry_are_refused(write_job: Write) -> None:
    problems = refused(write_job(JOB_YAML + "model_args:\n  a: .nan\n  b: {1: x}\n  c: [1, .inf]\n"))
    assert [(p.field, p.line) for p in problems] == [("model_args.a", 7), ("model_args.b.1", 8), ("model_args.c.1", 9)]


def test_a_loaded_job_survives_the_journey(write_job: Write) -> None:
    more = "fit: {class_weight: {0: 1, 1: 2.5}, time_limit: 1h30m}\nearly_stopping: {}\n"
    spec = load_job(str(write_job(JOB_YAML + more))).spec
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.fit.time_limit == 5400


def test_malformed_set_is_reported_before_the_file_is_read() -> None:
    with pytest.raises(UsageError):
        load_job("/nowhere", overrides=["x"])


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").mkdir()
    with pytest.raises(SpecError, match="directory"):
        load_job(str(tmp_path))


@pytest.mark.parametrize(
    ("override", "field"),
    [
        (r'storage="a\0b"', "storage"),
        (r'storage="/a\0b"', "storage"),
        ("storage=~nobody-of-that-name/runs", "storage"),
        ("data.train.csv=~nobody-of-that-name/a.csv", "data.train.csv"),
        (f"data.train.csv={'x' * 300}", "data.train.csv"),
        (r'data.train.csv="a\0b"', "data.train.csv"),
        ("data.train.csv='**.csv'", "data.train.csv"),
        ("data.train.numpy={}", "data.train.numpy"),
        (f"model={'x' * 300}.py:build", "model"),
        (f"model={{file: {'x' * 300}.keras}}", "model.file"),
        ("model={file: ~nobody-of-that-name/a.keras}", "model.file"),
    ],
)
def test_a_path_that_cannot_be_is_refused(write_job: Write, override: str, field: str) -> None:
    given = ["data.features=x", "data.label=y", override]
    problems = {problem.field: problem for problem in refused(write_job(), *given)}
    assert field in problems


@pytest.mark.parametrize("job", ["~nobody-of-that-name/job", "x" * 300])
def test_a_job_that_cannot_be_looked_up(job: str) -> None:
    with pytest.raises(SpecError):
        load_job(job)


def test_a_job_that_is_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").symlink_to("job.yaml")
    with pytest.raises(RaytrainError):
        load_job(str(tmp_path / "job.yaml"))
