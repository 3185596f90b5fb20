"""What a URI opens, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain import file_systems
from raytrain.file_systems import is_uri, keeps_runs, open_filesystem, uri_of


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("s3://b/x.csv?region=us-east-1", "b/x.csv"),
        ("s3://b/k=a%3Ab/[!x] y?.csv?region=us-east-1&endpoint_override=http://h:1", "b/k=a%3Ab/[!x] y?.csv"),
        ("s3://b?region=us-east-1", "b"),
        ("gs://anonymous@b/d/x.csv", "b/d/x.csv"),
        ("abfs://c@account.dfs.core.windows.net/d/x.csv", "c/d/x.csv"),
        ("file:///tmp/x.csv", "/tmp/x.csv"),
        ("memory://a/x.csv", "/a/x.csv"),
        ("local:///tmp/x.csv", "/tmp/x.csv"),
    ],
)
def test_a_path_is_what_arrow_and_fsspec_make_of_the_uri(uri: str, path: str) -> None:
    assert is_uri(uri)
    assert open_filesystem(uri)[1] == path
    assert path == "b" or uri_of(path, uri) == uri


def test_a_path_is_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("said")
    filesystem, path = open_filesystem(str(tmp_path / "a"))
    assert not is_uri(path)
    assert filesystem.open_input_stream(path).read() == b"said"


def test_the_files_of_a_bucket_share_one_opening() -> None:
    """To open it may ask the network for the bucket's region."""
    uris = [f"s3://b/{name}?region=us-east-1" for name in ("x.csv", "y.csv")]
    first, second = (open_filesystem(uri)[0] for uri in uris)
    assert first is second
    assert open_filesystem("s3://b/x.csv?region=us-east-2")[0] is not first


def test_what_could_not_be_opened_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="never://host cannot be opened: Protocol not known"):
        open_filesystem("never://host/x")
    monkeypatch.setattr(file_systems, "_by_arrow_or_fsspec", lambda uri: ("opened", "top/"))
    assert open_filesystem("never://host/x") == ("opened", "top/x")


@pytest.mark.parametrize(
    ("scheme", "keeps"),
    [("s3", True), ("abfss", True), ("sftp", True), ("nothing", False), ("http", False), ("memory", False)],
)
def test_where_runs_can_be_kept(scheme: str, keeps: bool) -> None:
    assert keeps_runs(scheme) is keeps
