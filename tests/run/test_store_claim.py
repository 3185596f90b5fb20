"""Claims by several real processes at once, on a real S3 server and in a directory."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import uuid4

import pytest

from raytrain.run import store_claim
from raytrain.run.lease import LeaseTaken, claim, read_leases
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths
from raytrain.run.store_claim import Way, claim_object, claims_by
from tests.s3 import S3, s3_server

TIMES = 100


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def without_conditions() -> Iterator[S3]:
    with s3_server(conditions=False) as server:
        yield server


def claimant(connection: Connection, way: Way) -> None:
    """Runs in a process of its own: claims attempt 1 of each run that it is told, and says whether it has it.

    Args:
        way: the one that it goes in a store.
    """
    store_claim.claims_by = lambda store: way
    store_claim._LOOK_AGAIN_S = 0.02
    while (paths := connection.recv()) is not None:
        try:
            claim(paths, 1)
        except LeaseTaken:
            connection.send(0)
        except OSError as error:
            connection.send(error)
        else:
            connection.send(1)


@contextmanager
def claimants(*ways: Way) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in ways]
    processes = [
        context.Process(target=claimant, args=(theirs, way), daemon=True)
        for (_, theirs), way in zip(pipes, ways, strict=True)
    ]
    for process in processes:
        process.start()
    ours = [pipe[0] for pipe in pipes]
    yield ours
    for connection in ours:
        connection.send(None)
    for process in processes:
        process.join(30)


def winners(connections: list[Connection], paths: RunPaths) -> int:
    """How many of the processes have the run, which all are told of at once."""
    for connection in connections:
        connection.send(paths)
    answers = [connection.recv() for connection in connections]
    assert not [answer for answer in answers if isinstance(answer, OSError)], answers
    return sum(answers)


def in_store(server: S3, tmp_path: Path) -> RunPaths:
    run = uuid4().hex
    return RunPaths(tmp_path / run, server.uri("runs", run))


def test_of_two_at_once_one_wins_in_a_directory(tmp_path: Path) -> None:
    with claimants("marker", "marker") as both:
        assert [winners(both, RunPaths(tmp_path / str(number))) for number in range(TIMES)] == [1] * TIMES


def test_of_two_at_once_one_wins_by_a_conditional_put(s3: S3, tmp_path: Path) -> None:
    with claimants("conditional put", "conditional put") as both:
        assert [winners(both, in_store(s3, tmp_path)) for _ in range(TIMES)] == [1] * TIMES


@pytest.mark.thorough
def test_of_two_at_once_one_wins_by_a_marker(without_conditions: S3, tmp_path: Path) -> None:
    with claimants("marker", "marker") as both:
        assert [winners(both, in_store(without_conditions, tmp_path)) for _ in range(TIMES)] == [1] * TIMES


@pytest.mark.thorough
def test_of_three_that_come_by_different_ways_one_wins(s3: S3, tmp_path: Path) -> None:
    with claimants("conditional put", "marker", "marker") as three:
        assert [winners(three, in_store(s3, tmp_path)) for _ in range(TIMES)] == [1] * TIMES


def test_the_way_is_found_by_trying(s3: S3, without_conditions: S3) -> None:
    assert claims_by(ObjectStore(s3.uri("ways"))) == "conditional put"
    assert claims_by(ObjectStore(without_conditions.uri("ways"))) == "marker"


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("hdfs://host/runs", id="obstore has no such stores"),
        pytest.param("gs://bucket/runs?endpoint_override=127.0.0.1:9", id="obstore would ask another server"),
        pytest.param("s3://bucket/runs?endpoint_override=http://127.0.0.1:9&region=x", id="nobody answers"),
    ],
)
def test_where_a_conditional_put_cannot_be_tried_a_marker_is_left(uri: str, s3: S3) -> None:
    assert claims_by(ObjectStore(uri)) == "marker"


def test_a_node_without_obstore_leaves_a_marker(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert claims_by(ObjectStore(s3.uri("without"))) == "marker"


@pytest.mark.parametrize("way", ["conditional put", "marker"])
def test_a_claim_is_kept_from_those_who_come_later(way: Way, s3: S3, without_conditions: S3, tmp_path: Path) -> None:
    server = s3 if way == "conditional put" else without_conditions
    paths = in_store(server, tmp_path)
    mine = claim(paths, 1)
    with pytest.raises(LeaseTaken, match="has a driver already"):
        claim(paths, 1)
    assert read_leases(paths) == [mine]
    assert not paths.root.exists(), "what is in a store is not kept beside it"


def test_a_put_whose_answer_was_lost_has_won(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    create = ObjectStore.create

    def unanswered(store: ObjectStore, name: str, content: bytes) -> bool:
        written = create(store, name, content)
        if name == "1.json":
            raise OSError("timed out")
        return written

    monkeypatch.setattr(ObjectStore, "create", unanswered)
    store = ObjectStore(s3.uri("unanswered"))
    assert claim_object(store, "1.json", b"mine")
    assert [name for name in store.names() if not name.startswith(".")] == ["1.json"]


def test_a_refusal_without_an_object_is_tried_by_a_marker(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 may refuse both of two that come at once, with 409."""
    monkeypatch.setattr(ObjectStore, "create", lambda store, name, content: False)
    store = ObjectStore(s3.uri("conflict"))
    assert claim_object(store, "1.json", b"mine")
    assert store.read("1.json") == b"mine"


def test_who_meets_the_marker_of_a_dead_claimant_gives_up(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_claim, "_LOOKS", 3)
    store = ObjectStore(s3.uri("dead"))
    store.write("1.json.claim-dead", b"")
    assert not claim_object(store, "1.json", b"mine")
    assert store.read("1.json") == b"mine", "the attempt's number is used up: nobody can say who has it"
