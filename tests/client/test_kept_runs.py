"""Runs that have ended are named, copied and deleted, by what lies in their storage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raytrain.client.delete import beyond, deletion_of
from raytrain.client.fetch import fetch
from raytrain.client.find_run import find_run
from raytrain.client.registry import RunRecord, forget, remember, remembered
from raytrain.client.tags import all_tags, tag_run, tags_of, untag_run
from raytrain.errors import NotFound, UsageError
from raytrain.run.events import Event
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths
from tests.cli.lives import beginning, whole_life, write_log

RUNS = [f"digits-2026112{day}-0715-4f2a" for day in range(4)]


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "runs"


def kept(storage: Path, run: str = RUNS[0], life: list[Event] | None = None) -> RunRecord:
    """A run's directory, and what this machine remembers of it."""
    paths = RunPaths.of(storage, run)
    paths.checkpoints.mkdir(parents=True)
    for file in (paths.model, paths.spec, paths.checkpoints / "epoch-000002"):
        file.write_text("{}")
    paths.attempt_logs(1).mkdir(parents=True)
    paths.driver_log(1).write_text("epoch 1/3\n")
    write_log(paths.root, whole_life() if life is None else life)
    record = RunRecord(run=run, name="digits", storage=str(storage))
    remember(record)
    return record


class TestTags:
    def test_a_tag_names_one_run_of_a_job_and_moves(self, storage: Path) -> None:
        first, second = kept(storage), kept(storage, RUNS[1])
        assert tag_run(first, "production")[1] == ""
        assert tag_run(second, "production")[1] == first.run
        assert tag_run(second, "production")[1] == ""  # it had it already

        assert find_run("digits:production") == second
        assert [tag.run for tag in all_tags()] == [second.run] and tags_of(first) == []
        assert untag_run(second, "production").run == second.run
        with pytest.raises(NotFound, match="digits:production"):
            find_run("digits:production")

    def test_another_machine_that_sees_the_storage_sees_the_tag(
        self, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tag_run(kept(storage), "v1.2")
        monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "elsewhere"))

        found = find_run("digits:v1.2", storage=str(storage))

        assert (found.run, found.storage) == (RUNS[0], str(storage))

    @pytest.mark.parametrize("tag", ["", "Production", "a b", "../x", "-a", "x" * 41])
    def test_what_is_no_tag(self, tag: str, storage: Path) -> None:
        with pytest.raises(UsageError, match="the tag"):
            tag_run(kept(storage), tag)
        assert not (storage / "tags").exists()

    def test_a_run_without_a_model_or_out_of_sight(self, storage: Path) -> None:
        with pytest.raises(UsageError, match="has saved no model"):
            tag_run(kept(storage, life=beginning()), "production")
        with pytest.raises(NotFound, match="not in sight"):
            tag_run(RunRecord(run=RUNS[1], storage="/gone"), "production")
        with pytest.raises(NotFound, match=r"no tag beta .* expected one that it has: none"):
            untag_run(RunRecord(run=RUNS[0], storage=str(storage)), "beta")

    def test_a_damaged_tag_is_passed_over(self, storage: Path) -> None:
        tag_run(kept(storage), "good")
        (storage / "tags/digits/bad.json").write_text("{")

        assert [tag.tag for tag in all_tags()] == ["good"]


class TestFetching:
    def test_a_copy_is_a_run_itself(self, storage: Path, tmp_path: Path) -> None:
        fetched = fetch(kept(storage), output=tmp_path / "copy")

        copy = RunPaths(tmp_path / "copy")
        assert fetched.model == str(copy.model) and copy.driver_log(1).read_text() == "epoch 1/3\n"
        assert not copy.checkpoints.exists()
        assert find_run(str(tmp_path / "copy")).storage == str(tmp_path)
        assert fetch(kept(storage, RUNS[1]), output=tmp_path / "whole", checkpoints=True).files == fetched.files + 1

    def test_one_that_is_cut_off_leaves_nothing(
        self, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record, left = kept(storage), []

        def full(source: Path, target: Path) -> None:
            left.append(target)
            if len(left) == 2:
                raise OSError(28, "No space left on device")
            target.write_bytes(source.read_bytes())

        monkeypatch.setattr("raytrain.client.fetch.shutil.copyfile", full)
        with pytest.raises(UsageError, match="No space left on device"):
            fetch(record, output=tmp_path / "copy")

        assert not (tmp_path / "copy").exists() and not list(tmp_path.glob(".copy*"))

    def test_refusals(self, storage: Path, tmp_path: Path) -> None:
        record = kept(storage)
        with pytest.raises(UsageError, match="there already"):
            fetch(record, output=storage)
        with pytest.raises(NotFound, match="not in sight"):
            fetch(RunRecord(run=RUNS[1], storage="/gone"), output=tmp_path / "copy")


class TestDeleting:
    def test_a_run_goes_and_is_forgotten(self, storage: Path) -> None:
        record, other = kept(storage), kept(storage, RUNS[1])
        found = deletion_of(record)
        assert found.files == 5 and found.bytes > 100 and Path(found.directory).is_dir()

        found.carry_out()

        assert [path.name for path in storage.iterdir()] == [other.run]
        assert remembered() == [other]
        assert deletion_of(record).directory == ""  # it is gone already

    def test_one_that_goes_on_or_has_a_tag_stays(self, storage: Path) -> None:
        with pytest.raises(UsageError, match="may go on: neither its cluster nor a lease"):
            deletion_of(_living(storage))
        tagged = kept(storage, RUNS[1])
        tag_run(tagged, "production")
        with pytest.raises(UsageError, match=r"tagged digits:production.*--remove"):
            deletion_of(tagged)
        assert len(list(storage.glob("digits-*"))) == 2

    def test_a_deletion_that_is_cut_off_leaves_no_run(self, storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        record = kept(storage)
        remove = shutil.rmtree

        def cut(path: Path, ignore_errors: bool = False) -> None:
            if not ignore_errors:
                raise KeyboardInterrupt

        monkeypatch.setattr("raytrain.client.delete.shutil.rmtree", cut)
        with pytest.raises(KeyboardInterrupt):
            deletion_of(record).carry_out()
        with pytest.raises(NotFound):
            find_run(record.run, environ={"RAYTRAIN_STATE_DIR": "/none"}, storage=str(storage))
        monkeypatch.setattr("raytrain.client.delete.shutil.rmtree", remove)

    def test_retention_keeps_the_newest_and_those_with_tags(self, storage: Path) -> None:
        records = [kept(storage, run) for run in RUNS]
        tag_run(records[0], "production")

        assert [found.record.run for found in beyond(1)] == [RUNS[2], RUNS[1]]
        assert [found.record.run for found in beyond(1, storage=str(storage))] == [RUNS[2], RUNS[1]]
        assert beyond(9) == [] and beyond(0, name="other") == []
        with pytest.raises(UsageError, match="--keep -1"):
            beyond(-1)


def test_what_is_forgotten_stays_so(storage: Path) -> None:
    state = storage.parent / "state"
    state.mkdir()
    line = (
        '{"run": "digits-1", "name": "", "address": "", "storage": "", "submitted_at": 0.0, "job": "", "attempt": 1}\n'
    )
    (state / "runs.jsonl").write_text(line)
    assert [record.run for record in remembered()] == ["digits-1"]

    forget("digits-1")
    forget("digits-2")

    assert remembered() == []


def _living(storage: Path) -> RunRecord:
    return kept(storage, life=beginning())


class TestInAnObjectStore:
    @pytest.fixture
    def record(self, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
        """A run in a store, of which this machine has no copy yet."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        kept(storage)
        uri = f"memory://{tmp_path.name}/runs"
        for file in sorted(path for path in (storage / RUNS[0]).rglob("*") if path.is_file()):
            ObjectStore(uri).push(file, file.relative_to(storage).as_posix())
        shutil.rmtree(storage)
        record = RunRecord(run=RUNS[0], name="digits", storage=uri)
        remember(record)
        return record

    def test_it_is_named_fetched_and_deleted_all_the_same(self, record: RunRecord, tmp_path: Path) -> None:
        tag_run(record, "production")
        assert find_run("digits:production") == record

        fetched = fetch(record, output=tmp_path / "copy")
        assert fetched.model == str(tmp_path / "copy/model.keras") and fetched.files == 4

        with pytest.raises(UsageError, match="tagged digits:production"):
            deletion_of(record)
        untag_run(record, "production")
        found = deletion_of(record)
        assert (found.directory, found.files) == (f"{record.storage}/{record.run}", 5)
        found.carry_out()
        assert ObjectStore(record.storage).names() == [] and remembered() == []
