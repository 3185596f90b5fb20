import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raytrain.files import write_whole
from raytrain.run.event_json import to_line
from raytrain.run.event_log import EventReader, EventWriter, read_events
from raytrain.run.events import Event, Warned


def warned(message: str) -> Warned:
    return Warned(run="a", attempt=1, time=0.0, message=message)


def messages(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Warned)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run" / "events.jsonl"


def test_what_is_appended_is_read_at_once(log: Path) -> None:
    writer, reader = EventWriter(log), EventReader(log)
    writer.append(warned("one"))
    assert messages(list(reader.new())) == ["one"]
    writer.append(warned("two"))
    writer.append(warned("three"))
    assert messages(list(reader.new())) == ["two", "three"]
    assert list(reader.new()) == []
    writer.close()


def test_a_later_writer_appends(log: Path) -> None:
    for message in ("one", "two"):
        writer = EventWriter(log)
        writer.append(warned(message))
        writer.close()
    assert messages(read_events(log)) == ["one", "two"]


def test_a_log_that_is_not_there_yet_is_empty(log: Path) -> None:
    reader = EventReader(log)
    assert list(reader.new()) == []
    writer = EventWriter(log)
    writer.append(warned("one"))
    writer.close()
    assert messages(list(reader.new())) == ["one"]
    assert read_events(log.with_name("other.jsonl")) == []


def test_a_line_counts_once_its_newline_is_written(log: Path) -> None:
    log.parent.mkdir()
    line = (to_line(warned("é")) + "\n").encode()
    reader = EventReader(log)
    for end in range(len(line)):
        log.write_bytes(line[:end])
        assert list(reader.new()) == []
    log.write_bytes(line)
    assert messages(list(reader.new())) == ["é"]


def test_a_line_torn_by_a_kill_costs_only_itself(log: Path) -> None:
    writer = EventWriter(log)
    writer.append(warned("one"))
    writer.close()
    with log.open("a") as file:
        file.write(to_line(warned("torn"))[:30])
    writer = EventWriter(log)
    writer.append(warned("two"))
    writer.close()
    assert messages(read_events(log)) == ["one", "two"]


def test_bytes_that_are_no_text_are_skipped(log: Path) -> None:
    log.parent.mkdir()
    log.write_bytes(b"\xff\xfe\x00\n\n" + to_line(warned("one")).encode() + b"\n")
    assert messages(read_events(log)) == ["one"]


def test_a_whole_file_replaces_the_old_and_leaves_nothing_aside(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_whole(path, "old")
    write_whole(path, "neu é")
    assert path.read_text(encoding="utf-8") == "neu é"
    assert [*tmp_path.iterdir()] == [path]


def test_a_reader_keeps_the_old_file_while_the_new_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_whole(path, "old")

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_log_whose_folder_is_a_file_has_no_events(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert read_events(tmp_path / "file" / "run" / "events.jsonl") == []


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES])
def test_storage_that_fails_for_a_moment_is_no_log_for_now(
    number: int, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = EventWriter(log), EventReader(log)
    writer.append(warned("one"))
    writer.close()

    def failing(self: Path, mode: str) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as failed:
        failed.setattr(Path, "open", failing)
        assert list(reader.new()) == []
    assert messages(list(reader.new())) == ["one"]


FULL = """
import resource, signal, sys
from pathlib import Path
from raytrain.run.event_log import EventWriter
from raytrain.run.events import Warned

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
writer = EventWriter(Path(sys.argv[1]))
characters, until = int(sys.argv[2]), int(sys.argv[3])
failures = 0
for number in range(30):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if 5 <= number < until else hard, hard))
    try:
        writer.append(Warned(run="run", attempt=1, time=float(number), message="x" * characters))
    except OSError:
        failures += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
writer.close()
print(failures)
"""


@pytest.mark.parametrize(
    ("characters", "until"),
    [
        pytest.param(150, 20, id="for a moment"),
        pytest.param(3000, 20, id="for more than a buffer holds"),
        pytest.param(3000, 30, id="until the log is closed"),
    ],
)
def test_a_disk_that_is_full_costs_no_event(characters: int, until: int, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    command = [sys.executable, "-c", FULL, str(path), str(characters), str(until)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 10
    assert [event.time for event in read_events(path)] == list(range(30))
