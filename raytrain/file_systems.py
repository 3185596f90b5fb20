"""Opens what a URI names, for the storage of runs and the files of sources alike: by Arrow, or by fsspec.

LIGHT: pyarrow and fsspec are imported when something is opened. What follows a `?`, such as an `endpoint_override`, is
the file system's, wherever in a URI the path ends.
"""

from __future__ import annotations

import functools
import re
from typing import Any

# What Arrow opens itself, of what several machines see.
ARROW_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs")
_NOT_SHARED = ("file", "local", "memory", "data", "http", "https")  # of one machine or process, or only to be read

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ROOT = re.compile(r"[^:]*://[^/]*")
_QUERY = re.compile(r"\?[^/?]*=.*$")  # s3://bucket/key?endpoint_override=…; a `?` without `=` is a glob's
_OF_BUCKETS = ("s3", "gs", "gcs")  # no host in their URIs


def is_uri(name: str) -> bool:
    """Whether a name is of another file system, such as `s3://bucket/key`."""
    return _URI.match(name) is not None


def keeps_runs(scheme: str) -> bool:
    """Whether runs can be kept where URIs of this scheme lead: Arrow or fsspec knows it, and machines share it."""
    if scheme in ARROW_SCHEMES:
        return True
    import fsspec

    return scheme in fsspec.available_protocols() and scheme not in _NOT_SHARED


def open_filesystem(name: str) -> tuple[Any, str]:
    """The file system of a path or URI, and the path within it: `bucket/x` of `gs://anonymous@bucket/x`.

    Arrow's own for s3, gs, hdfs and abfs; fsspec's for any other, such as hf. The path is left as it stands, so that a
    glob remains one.

    Raises:
        OSError: no such kind of file system, or one that cannot be reached.
    """
    if not is_uri(name):
        from pyarrow import fs

        return fs.LocalFileSystem(), name
    root, below, query = _split(name)
    filesystem, top = _open(root, query)
    return filesystem, top + below if top.endswith("/") or not top else f"{top}/{below}".rstrip("/")


def uri_of(path: str, uri: str) -> str:
    """The file at `path` as a user names it who named the files by `uri`."""
    root, _, query = _split(uri)
    return f"{root}/{path.removeprefix(_open(root, query)[1]).lstrip('/')}{query}"


def path_in(name: str) -> tuple[str, str]:
    """A path or URI without its options, and those: `s3://bucket/key` and `?region=x`."""
    return (_QUERY.sub("", name), "".join(_QUERY.findall(name))) if is_uri(name) else (name, "")


def share_filesystem(one: str, other: str) -> bool:
    """Whether what opens one URI's files opens the other's: by the same host and credentials, whatever the bucket."""
    (root, _, query), (other_root, _, other_query) = _split(one), _split(other)
    (scheme, _, top), (other_scheme, _, other_top) = root.partition("://"), other_root.partition("://")
    if (scheme, query) != (other_scheme, other_query):
        return False
    if scheme in _OF_BUCKETS:
        return top.rpartition("@")[0] == other_top.rpartition("@")[0]
    return root == other_root or bool(_open(root, query)[0].equals(_open(other_root, other_query)[0]))


def _split(uri: str) -> tuple[str, str, str]:
    """Of `s3://bucket/key?region=x`, `s3://bucket`, `key` and `?region=x`."""
    plain, query = _QUERY.sub("", uri), "".join(_QUERY.findall(uri))
    root = _ROOT.findall(plain)[0]
    return root, plain[len(root) :].lstrip("/"), query


@functools.cache  # to open one may ask the network, as for a bucket's region
def _open(root: str, query: str) -> tuple[Any, str]:
    """A file system, and where the paths of its URIs begin, such as the bucket's name."""
    try:
        filesystem, top = _by_arrow_or_fsspec(f"{root}/{query}")
    except Exception as error:  # each package that fsspec opens has errors of its own
        raise OSError(f"{root} cannot be opened: {error}") from error
    return filesystem, top.rstrip("/") or top[:1]


def _by_arrow_or_fsspec(uri: str) -> tuple[Any, str]:
    from pyarrow import ArrowInvalid, fs

    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(uri)
    except ArrowInvalid as error:
        if "Unrecognized filesystem" not in str(error):
            raise
        from fsspec.core import url_to_fs

        filesystem, path = url_to_fs(uri)
        found = fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path
    return found
