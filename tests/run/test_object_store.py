"""A run's directory in a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from raytrain.client.find_run import find_run
from raytrain.errors import NotFound
from raytrain.run.mirror import Mirror
from raytrain.run.object_store import ObjectStore, is_object_store, join, split
from tests.s3 import S3, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def store(s3: S3, request: pytest.FixtureRequest) -> ObjectStore:
    return ObjectStore(s3.uri("runs", request.node.name.strip("[]")))


@pytest.mark.parametrize(
    ("uri", "names", "expected"),
    [
        ("s3://bucket/runs", ("digits-1",), "s3://bucket/runs/digits-1"),
        ("s3://bucket", ("digits-1",), "s3://bucket/digits-1"),
        ("s3://bucket/runs/", ("a", "b"), "s3://bucket/runs/a/b"),
        ("s3://bucket/runs?region=eu-west-1", ("a",), "s3://bucket/runs/a?region=eu-west-1"),
        ("gs://bucket/runs", (), "gs://bucket/runs"),
    ],
)
def test_joined(uri: str, names: tuple[str, ...], expected: str) -> None:
    assert join(uri, *names) == expected


@pytest.mark.parametrize(
    ("uri", "above", "name"),
    [
        ("s3://bucket/runs/digits-1", "s3://bucket/runs", "digits-1"),
        ("s3://bucket/runs/digits-1/", "s3://bucket/runs", "digits-1"),
        ("s3://bucket/digits-1?endpoint_override=http://h:1", "s3://bucket?endpoint_override=http://h:1", "digits-1"),
        ("s3://bucket", "s3://bucket", ""),
    ],
)
def test_split(uri: str, above: str, name: str) -> None:
    assert split(uri) == (above, name)


def test_a_run_is_found_by_the_uri_of_its_directory(s3: S3, tmp_path: Path) -> None:
    run = "digits-20261121-0920-4f2a"
    (tmp_path / "events.jsonl").write_text("")
    ObjectStore(s3.uri("found", run)).push(tmp_path / "events.jsonl", "events.jsonl")
    environ = {"RAYTRAIN_STATE_DIR": str(tmp_path)}

    found = find_run(s3.uri("found", run), environ=environ)
    assert (found.run, found.name, found.storage) == (run, "digits", s3.uri("found"))
    for other in (s3.uri("found", "digits-20261121-0920-0000"), s3.uri("found"), "http://127.0.0.1:1/x"):
        with pytest.raises(NotFound, match="got"):
            find_run(other, environ=environ)


@pytest.mark.parametrize(
    ("storage", "is_one"), [("s3://b/r", True), ("gs://b", True), ("/mnt/runs", False), ("~", False)]
)
def test_told_from_directories(storage: str, is_one: bool) -> None:
    assert is_object_store(storage) is is_one


def test_an_object_goes_there_and_back(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100_000
    (tmp_path / "here").write_bytes(content)
    store.push(tmp_path / "here", "logs/attempt-1/driver.log")
    assert store.pull("logs/attempt-1/driver.log", tmp_path / "back" / "there")
    assert (tmp_path / "back" / "there").read_bytes() == content
    assert [file.name for file in (tmp_path / "back").iterdir()] == ["there"]


def test_what_is_not_there_is_no_error(store: ObjectStore, tmp_path: Path) -> None:
    assert not store.pull("events.jsonl", tmp_path / "events.jsonl")
    assert list(tmp_path.iterdir()) == []
    assert store.names() == []
    assert store.folders("checkpoints") == []
    store.remove_folder("checkpoints/epoch-000000", marker="MANIFEST.json")


def test_a_folders_marker_comes_last_and_goes_first(store: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "epoch-000001"
    (folder / "deep").mkdir(parents=True)
    for name in ("MANIFEST.json", "a.npz", "deep/b.npz"):
        (folder / name).write_text(name)
    pushed: list[str] = []

    class Spied(ObjectStore):
        def push(self, file: Path, name: str) -> None:
            super().push(file, name)
            pushed.append(name)
            assert ("c/MANIFEST.json" in self.names()) == (name == "c/MANIFEST.json")

    spied = Spied(store.uri)
    spied.push_folder(folder, "c", marker="MANIFEST.json")
    spied.push_folder(folder, "c", marker="MANIFEST.json")  # anew, over the old one
    assert pushed[2] == pushed[5] == "c/MANIFEST.json"
    assert store.folders() == ["c"]
    store.pull_folder("c", tmp_path / "back")
    assert (tmp_path / "back/deep/b.npz").read_text() == "deep/b.npz"
    store.remove_folder("c", marker="MANIFEST.json")
    assert store.names() == []


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("nothing://host/runs", "nothing://host cannot be opened: Protocol not known: nothing"),
        ("s3://bucket/runs?no_such=option", "s3://bucket cannot be opened: Unexpected query parameter"),
        ("ftp://127.0.0.1:9/runs", "ftp://127.0.0.1:9 cannot be opened: .*refused"),
    ],
)
def test_a_store_that_cannot_be_opened_is_an_error_of_the_storage(uri: str, why: str) -> None:
    with pytest.raises(OSError, match=why):
        ObjectStore(uri).names()


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_what_only_fsspec_opens_keeps_runs_too(kind: str, tmp_path: Path) -> None:
    """Of a bucket and of real folders; what neither Arrow nor the network is asked for."""
    store = ObjectStore(f"{kind}://{tmp_path}/my%20runs/digits-1")
    (tmp_path / "here").write_text("said")
    assert not store.pull("here", tmp_path / "back")
    assert (store.names(), store.folders()) == ([], [])
    store.push(tmp_path / "here", "logs/attempt-1/driver.log")
    store.push(tmp_path / "here", "status.json")
    assert store.pull("logs/attempt-1/driver.log", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "said"
    assert store.names() == ["logs/attempt-1/driver.log", "status.json"]
    assert store.folders() == ["logs"]
    assert (tmp_path / "my runs").is_dir() == (kind == "local")
    store.remove_object("status.json")
    store.remove_object("status.json")
    store.remove_folder("logs", marker="attempt-1/driver.log")
    assert store.names() == []


def test_a_run_lies_where_arrow_puts_it(s3: S3, tmp_path: Path) -> None:
    """Runs of earlier versions were written to the path that `FileSystem.from_uri` makes of a whole URI."""
    uri = s3.uri("my%20runs", "digits-1")
    (tmp_path / "a").write_text("said")
    ObjectStore(uri).push(tmp_path / "a", "a")
    system, path = fs.FileSystem.from_uri(uri)
    assert path.endswith("/my runs/digits-1")
    assert system.get_file_info(f"{path}/a").is_file


def test_what_changes_is_mirrored(store: ObjectStore, tmp_path: Path) -> None:
    local = tmp_path / "run"
    for written_by_others in ("checkpoints", "attempts"):
        (local / written_by_others).mkdir(parents=True)
        (local / written_by_others / "left-out").write_text("")
    (local / "events.jsonl").write_text("1\n")
    with Mirror(local, store, notice=pytest.fail, every_s=0.05) as mirror:
        with (local / "events.jsonl").open("a") as events:
            events.write("2\n")
        (local / "logs").mkdir()
        (local / "logs" / "rank-0.log").write_text("said")
    assert mirror.missing == []
    assert store.names() == ["events.jsonl", "logs/rank-0.log"]
    assert store.pull("events.jsonl", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "1\n2\n"


def test_an_outage_is_told_and_survived(tmp_path: Path) -> None:
    told: list[str] = []
    with s3_server() as server:
        store = ObjectStore(server.uri("runs", "outage"))
        (tmp_path / "a").write_text("1")
        server.stop()
        with Mirror(tmp_path, store, notice=told.append, every_s=0.05, last_tries_s=60) as mirror:
            while not told:
                pass
            server.start()
        assert store.names() == ["a"]
    assert mirror.missing == []
    assert len(told) == 2
    assert "cannot be written" in told[0]
    assert "can be written again" in told[1]


def test_what_could_not_be_pushed_in_the_end_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    store = ObjectStore("s3://bucket/none?endpoint_override=http://127.0.0.1:9&region=us-east-1")
    with Mirror(tmp_path, store, notice=lambda _: None, every_s=0.05, last_tries_s=0) as mirror:
        pass
    assert mirror.missing == ["a"]
