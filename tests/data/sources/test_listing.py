"""What a source's URIs stand for, tried on Arrow's file system in memory and without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from raytrain import file_systems
from raytrain.data.sources import listing
from raytrain.data.sources.listing import list_files
from raytrain.errors import SpecError, UserCodeError
from raytrain.file_systems import open_filesystem

FILES = ("part-0.csv", "part-1.csv", "part-!.csv", "a b.csv", "deep/part-1.csv", "deep/er/x.csv", "_part-2.csv")


@pytest.fixture(params=["s3://b", "hdfs://nn:8020", "abfs://c@account.dfs.core.windows.net", "gs://anonymous@b"])
def root(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store whose paths begin where those of such a URI do, with FILES in its folder `d`."""
    store: Any = fs._MockFileSystem()
    top = {"hdfs": "", "abfs": "c/"}.get(request.param.partition(":")[0], "b/")
    for name in FILES:
        store.create_dir(f"{top}d/{name}".rpartition("/")[0])
        with store.open_output_stream(f"{top}d/{name}") as opened:
            opened.write(b"x\n1\n")
    monkeypatch.setattr(file_systems, "_open", lambda root, query: (store, top.rstrip("/")))
    return str(request.param)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("d", ["a b.csv", "deep/er/x.csv", "deep/part-1.csv", "part-!.csv", "part-0.csv", "part-1.csv"]),
        ("d/part-0.csv", ["part-0.csv"]),
        ("d/part-[!0]*.csv", ["part-!.csv", "part-1.csv"]),
        ("d/part-[0!].csv", ["part-!.csv", "part-0.csv"]),
        ("d/part-?.csv", ["part-!.csv", "part-0.csv", "part-1.csv"]),
        ("d/**/*1.csv", ["deep/part-1.csv", "part-1.csv"]),
        ("d/*/*.csv", ["deep/part-1.csv"]),
        ("*/deep/**", ["deep/er/x.csv", "deep/part-1.csv"]),
    ],
)
def test_the_files_of_a_uri(root: str, pattern: str, found: list[str]) -> None:
    listed = list_files(f"{root}/{pattern}", Path("/job"), kind="csv", field="data.train.csv")
    assert list(listed.names) == [f"{root}/d/{name}" for name in found]
    assert list(listed.paths) == [open_filesystem(name)[1] for name in listed.names]


def test_a_uri_that_stands_for_nothing_or_too_little(root: str) -> None:
    with pytest.raises(UserCodeError, match="which does not exist"):
        list_files(f"{root}/d/none.csv", Path("/job"), kind="csv", field="data.train.csv")
    with pytest.raises(SpecError, match=r"got `\*\*\.csv` in .*`\*\*/\*\.csv` looks into all folders"):
        list_files(f"{root}/d/**.csv", Path("/job"), kind="csv", field="data.train.csv")


@pytest.mark.parametrize(
    ("uris", "share"),
    [
        (["s3://a/x.csv?region=us-east-1", "s3://b/x.csv?region=us-east-1"], True),
        (["s3://a/x.csv", "s3://a/x.csv?endpoint_override=http://h:1"], False),
        (["gs://anonymous@a/x.csv", "gs://a/x.csv"], False),
        (["s3://a/x.csv", "gs://a/x.csv"], False),
        (["abfs://c@one.dfs.core.windows.net/x.csv", "abfs://d@one.dfs.core.windows.net/x.csv"], True),
        (["abfs://c@one.dfs.core.windows.net/x.csv", "abfs://c@two.dfs.core.windows.net/x.csv"], False),
        (["memory://a/x.csv", "memory://b/x.csv"], True),
        (["file:///a/x.csv", "memory://a/x.csv"], False),
    ],
)
def test_uris_of_several_systems_are_refused(uris: list[str], share: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_expand", lambda filesystem, path, kind: [fs.FileInfo(path)])
    if share:
        assert len(list_files(uris, Path("/job"), kind="csv", field="data.train.csv").paths) == 2
        return
    with pytest.raises(UserCodeError, match="expected files of one file system") as caught:
        list_files(uris, Path("/job"), kind="csv", field="data.train.csv")
    assert f"got {uris[1]} beside {uris[0]}" in str(caught.value)
