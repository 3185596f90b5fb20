from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from raytrain.worker.checkpoints.checkpoint import (
    MANIFEST,
    CheckpointName,
    Snapshot,
    assign_all,
    kept,
    pack,
    read,
    read_newest,
    unpack,
    write,
)

GENERATOR = np.random.default_rng(0)
SNAPSHOT = Snapshot(
    epoch=3,
    variables=[GENERATOR.random((3, 4), dtype=np.float32), np.array([7, 8], np.int64), np.array(0.5, np.float32)],
    best_weights=[GENERATOR.random((3, 4), dtype=np.float32)],
    state={"progress": {"best_value": 0.5, "best_epoch": 2, "waited": 1}, "elapsed_s": 1.5, "stopped": None},
    ranks=[pack([np.arange(5.0)], {"clock": 1.5}), pack([], {})],
)


def assert_same(ours: Snapshot, theirs: Snapshot) -> None:
    assert (ours.epoch, ours.step, ours.state) == (theirs.epoch, theirs.step, theirs.state)
    assert ours.ranks == theirs.ranks
    assert (ours.best_weights is None) == (theirs.best_weights is None)
    pairs = zip(
        [*ours.variables, *(ours.best_weights or [])], [*theirs.variables, *(theirs.best_weights or [])], strict=True
    )
    for mine, other in pairs:
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
        assert mine.tobytes() == other.tobytes()


def newest(root: Path) -> tuple[int | None, list[str]]:
    """The epoch of the newest whole checkpoint, and the names of those that were passed over."""
    skipped: list[str] = []
    found = read_newest(root, skipped=lambda path, why: skipped.append(path.name))
    return (found[1].epoch if found else None), skipped


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.5, -0.0, np.inf, 1e-45], np.float32),
        np.array([1.5, 1e300], np.float64),
        np.array([1.5], np.float16),
        np.array([[1.5, -2.0], [3e38, 0.0]], ml_dtypes.bfloat16),
        np.array(2.5, ml_dtypes.bfloat16),
        np.array([1.5, 2.0], ml_dtypes.float8_e4m3fn),
        np.array([1.5, 2.0], ml_dtypes.float8_e5m2),
        np.array([2**63 - 1, -(2**63)], np.int64),
        np.array([2**64 - 1], np.uint64),
        np.array([2**32 - 1], np.uint32),
        np.array([-128, 127], np.int8),
        np.array([True, False]),
        np.array(7, np.int64),
        np.zeros((0, 4), np.float32),
        np.zeros((), np.float32),
        np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(2, 3)),
    ],
    ids=lambda array: f"{array.dtype.name} {array.shape}",
)
def test_arrays_come_back_to_the_bit(array: Any, tmp_path: Path) -> None:
    snapshot = replace(SNAPSHOT, variables=[array, np.arange(3)], best_weights=[array])
    assert_same(read(write(tmp_path, snapshot, keep=1)), snapshot)


def test_many_variables_keep_their_order(tmp_path: Path) -> None:
    snapshot = replace(SNAPSHOT, variables=[np.array(index) for index in range(123)])
    assert [int(value) for value in read(write(tmp_path, snapshot, keep=1)).variables] == list(range(123))


@pytest.mark.parametrize("best", [None, []])
def test_a_model_without_variables_and_a_run_without_best_weights(best: list[Any] | None, tmp_path: Path) -> None:
    snapshot = replace(SNAPSHOT, variables=[], best_weights=best)
    assert_same(read(write(tmp_path, snapshot, keep=1)), snapshot)


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    left = []
    for epoch in (0, 1, 2, 9, 10, 1_000_000):
        write(tmp_path, replace(SNAPSHOT, epoch=epoch), keep=2)
        left.append(sorted(int(path.name.removeprefix("epoch-")) for path in tmp_path.iterdir()))
    assert left == [[0], [0, 1], [1, 2], [2, 9], [2, 9, 10], [2, 10, 1_000_000]]
    assert newest(tmp_path) == (1_000_000, [])


def test_an_epoch_that_is_written_again_replaces_the_earlier_one(tmp_path: Path) -> None:
    write(tmp_path, SNAPSHOT, keep=2)
    again = replace(SNAPSHOT, best_weights=None, variables=[np.array(1.0)])
    assert_same(read(write(tmp_path, again, keep=2)), again)
    assert len(list(tmp_path.iterdir())) == 1


def test_without_checkpoints_there_is_none(tmp_path: Path) -> None:
    assert newest(tmp_path / "nowhere") == (None, [])
    assert newest(tmp_path) == (None, [])


def test_other_files_beside_the_checkpoints_are_left_alone(tmp_path: Path) -> None:
    for name in ("epoch-x", "epoch-1.bak", "best-000001", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, SNAPSHOT, keep=1)
    assert newest(tmp_path) == (3, [])
    assert len(list(tmp_path.iterdir())) == 6


FILES = ("variables.npz", "best.npz", "rank-1.npz", "state.json", MANIFEST)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_at_any_length_is_noticed_and_the_checkpoint_before_is_read(name: str, tmp_path: Path) -> None:
    write(tmp_path, replace(SNAPSHOT, epoch=2), keep=2)
    file = write(tmp_path, SNAPSHOT, keep=2) / name
    whole = file.read_bytes()
    lengths = {*range(0, len(whole), max(1, len(whole) // 60)), 1, len(whole) - 1}
    for length in lengths:
        file.write_bytes(whole[:length])
        assert newest(tmp_path) == (2, ["epoch-000003"]), length
    file.write_bytes(whole)
    assert newest(tmp_path) == (3, [])


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_noticed(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, SNAPSHOT, keep=1) / name
    whole = file.read_bytes()
    places = range(0, len(whole), max(1, len(whole) // 60))
    if name == MANIFEST:
        places = range(len(whole))
    for place in places:
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        file.write_bytes(bytes(spoilt))
        found = read_newest(tmp_path, skipped=lambda path, why: None)
        if found is not None:  # a flip within the manifest that changes nothing that is read
            assert_same(found[1], SNAPSHOT)
            assert name == MANIFEST


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_noticed(name: str, tmp_path: Path) -> None:
    (write(tmp_path, SNAPSHOT, keep=1) / name).unlink()
    assert newest(tmp_path) == (None, ["epoch-000003"])


def test_why_a_checkpoint_is_passed_over_names_the_file(tmp_path: Path) -> None:
    (write(tmp_path, SNAPSHOT, keep=1) / "state.json").write_text("{}")
    told: list[str] = []
    read_newest(tmp_path, skipped=lambda path, why: told.append(why))
    assert told == ["state.json does not match its checksum"]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (CheckpointName(1), "epoch-000000"),
        (CheckpointName(4), "epoch-000003"),
        (CheckpointName(0, 7), "epoch-000000-step-000007"),
        (CheckpointName(4, 12), "epoch-000004-step-000012"),
        (CheckpointName(4, 12, 2), "epoch-000004-step-000012.2"),
        (CheckpointName(1_000_001, 0, 1), "epoch-1000000.1"),
    ],
)
def test_a_directorys_name_says_when_it_was_taken(place: CheckpointName, name: str) -> None:
    assert place.name == name
    assert CheckpointName.parse(name) == place


def test_later_moments_are_greater() -> None:
    in_order = [
        CheckpointName(0, 1),
        CheckpointName(0, 12),
        CheckpointName(1),
        CheckpointName(1, 0, 1),
        CheckpointName(1, 3),
        CheckpointName(2),
    ]
    assert sorted(in_order, reverse=True) == in_order[::-1]


@pytest.mark.parametrize(
    ("places", "best_epoch", "keep", "stay"),
    [
        pytest.param(
            [CheckpointName(1), CheckpointName(2), CheckpointName(3)],
            None,
            2,
            [CheckpointName(2), CheckpointName(3)],
            id="the newest",
        ),
        pytest.param(
            [CheckpointName(1), CheckpointName(2), CheckpointName(3)],
            0,
            1,
            [CheckpointName(1), CheckpointName(3)],
            id="and the best",
        ),
        pytest.param(
            [CheckpointName(1), CheckpointName(2), CheckpointName(3)],
            2,
            2,
            [CheckpointName(2), CheckpointName(3)],
            id="the best among the newest",
        ),
        pytest.param([CheckpointName(2), CheckpointName(3)], 0, 1, [CheckpointName(3)], id="a best that is gone"),
        pytest.param(
            [CheckpointName(1), CheckpointName(2), CheckpointName(2, 1), CheckpointName(2, 2)],
            None,
            1,
            [CheckpointName(2), CheckpointName(2, 2)],
            id="within an epoch, the last epoch's end besides",
        ),
        pytest.param(
            [CheckpointName(1), CheckpointName(2), CheckpointName(2, 0, 1)],
            None,
            2,
            [CheckpointName(1), CheckpointName(2, 0, 1)],
            id="written again",
        ),
    ],
)
def test_which_checkpoints_stay(
    places: list[CheckpointName], best_epoch: int | None, keep: int, stay: list[CheckpointName]
) -> None:
    assert sorted(kept(places, newest=places[-1], best_epoch=best_epoch, keep=keep)) == stay


def test_what_is_later_than_the_newest_is_of_a_history_that_was_left() -> None:
    assert kept(
        [CheckpointName(1), CheckpointName(2), CheckpointName(3)], newest=CheckpointName(2), best_epoch=2, keep=9
    ) == {CheckpointName(1), CheckpointName(2)}


def test_what_a_worker_has_of_its_own_comes_back() -> None:
    arrays, state = unpack(pack(SNAPSHOT.variables, {"losses": [0.1]}))
    assert state == {"losses": [0.1]}
    assert [array.tobytes() for array in arrays] == [array.tobytes() for array in SNAPSHOT.variables]


def test_a_kill_between_any_two_steps_of_a_write_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """Also where the epoch had been written before: the old one is not touched until the new one stands."""
    new = replace(SNAPSHOT, variables=[np.zeros(3)], state={"progress": {"best_epoch": None}})
    seen: list[str] = []
    for kill_at in range(100):
        root = tmp_path / str(kill_at)
        write(root, replace(SNAPSHOT, epoch=2), keep=2)
        write(root, SNAPSHOT, keep=2)
        pid = os.fork()
        if pid == 0:
            points: list[str] = []

            def kill(point: str) -> None:
                points.append(point)  # noqa: B023  the child ends here
                if len(points) > kill_at:  # noqa: B023
                    os.kill(os.getpid(), signal.SIGKILL)

            write(root, new, keep=1, at=kill)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        found = read_newest(root, skipped=lambda path, why: pytest.fail(f"{path} {why}"))
        assert found is not None
        if os.WIFEXITED(status):
            break
        is_new = len(found[1].variables) == 1
        assert_same(found[1], new if is_new else SNAPSHOT)
        seen.append("new" if is_new else "old")
        write(root, replace(SNAPSHOT, epoch=4), keep=9)  # the next write goes on, and clears away
        assert not list(root.glob(".*"))
    assert seen == sorted(seen, reverse=True)
    assert seen.count("old") >= 8
    assert seen.count("new") >= 4


WRITER = """
import sys
from pathlib import Path
import numpy as np
from raytrain.worker.checkpoints.checkpoint import Snapshot, write
for epoch in range(100_000):
    variables = [np.full(400_000, epoch, np.float32)]
    write(Path(sys.argv[1]), Snapshot(epoch=epoch, variables=variables, best_weights=None, state={}), keep=2)
    print(epoch, flush=True)
"""


def test_a_kill_at_any_moment_of_a_write_leaves_the_last_whole_checkpoint(tmp_path: Path) -> None:
    for attempt in range(6):
        root = tmp_path / str(attempt)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(3):
            done = int(writer.stdout.readline())
        time.sleep(0.0013 * attempt)
        writer.send_signal(signal.SIGKILL)
        done = max([done, *(int(line) for line in writer.stdout)])
        writer.wait()
        writer.stdout.close()
        torn: list[Path] = []
        found = read_newest(root, skipped=lambda path, why: torn.append(path))  # noqa: B023  called at once
        assert not torn
        assert found is not None
        assert found[1].epoch in (done, done + 1)
        assert (found[1].variables[0] == found[1].epoch).all()


def test_what_a_killed_writer_left_is_cleared_away_and_never_read(tmp_path: Path) -> None:
    whole = write(tmp_path, replace(SNAPSHOT, epoch=9), keep=1)
    shutil.move(whole, tmp_path / ".epoch-000009.12345.tmp")
    assert newest(tmp_path) == (None, [])
    write(tmp_path, SNAPSHOT, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000003"]


def test_a_directory_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(OSError, match="checkpoints"):
        write(tmp_path / "checkpoints", SNAPSHOT, keep=1)


class Variable:
    """Stands for a Keras variable."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape
        self.value: Any = None

    def assign(self, value: Any) -> None:
        self.value = value


def test_assign_all_sets_every_variable_in_order() -> None:
    variables = [Variable(3, 4), Variable(2), Variable()]
    assign_all(variables, SNAPSHOT.variables)
    assert all(ours.value is theirs for ours, theirs in zip(variables, SNAPSHOT.variables, strict=True))


@pytest.mark.parametrize("shapes", [[], [(3, 4)], [(3, 4), (2,), (1,)], [(4, 3), (2,), ()], [(3, 4), (2,), (), ()]])
def test_assign_all_touches_nothing_of_another_model(shapes: list[tuple[int, ...]]) -> None:
    variables = [Variable(*shape) for shape in shapes]
    with pytest.raises(ValueError, match="the checkpoint holds 3 variables that do not fit"):
        assign_all(variables, SNAPSHOT.variables)
    assert all(variable.value is None for variable in variables)


def test_the_process_id_keeps_two_writers_apart(tmp_path: Path) -> None:
    write(tmp_path, SNAPSHOT, keep=1)
    assert str(os.getpid()) not in "".join(path.name for path in tmp_path.iterdir())
