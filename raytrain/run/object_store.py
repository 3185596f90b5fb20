"""A run's directory in an object store (`s3://`, `gs://`, …): pushed from where it is written, pulled where it is read.

LIGHT: pyarrow is imported when a store is opened. An object is replaced whole, so a reader sees the old or the new one.
A folder has no such moment: its marker is pushed after all else and removed before all else, and a folder without its
marker does not count.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from raytrain.file_systems import is_uri, open_filesystem

_PART_BYTES = 8 << 20


def is_object_store(storage: str) -> bool:
    """Whether a run's storage is a URI rather than a directory."""
    return is_uri(storage)


def join(uri: str, *names: str) -> str:
    """A URI further down; what comes after a `?`, such as an `endpoint_override`, stays at the end."""
    parts = urlsplit(uri)
    path = str(PurePosixPath(parts.path or "/", *names))
    return urlunsplit(parts._replace(path=path if path != "/" else ""))


def split(uri: str) -> tuple[str, str]:
    """The URI of the folder above, and the last name: what `join` would put together."""
    parts = urlsplit(uri)
    path = PurePosixPath(parts.path)
    above = str(path.parent) if path.parent.name else ""
    return urlunsplit(parts._replace(path=above)), path.name


@dataclass(frozen=True)
class ObjectStore:
    """A folder of objects, usually one run's.

    Every method raises OSError where the store cannot be reached or refuses.

    Attributes:
        uri: as users write it; whatever `raytrain.file_systems` opens.
    """

    uri: str

    def push(self, file: Path, name: str) -> None:
        """Uploads a file as the object `name`."""
        system, root = _open(self.uri)
        with file.open("rb") as source, _created(system, f"{root}/{name}") as target:
            shutil.copyfileobj(source, target, _PART_BYTES)

    def push_folder(self, folder: Path, name: str, *, marker: str) -> None:
        """Uploads a folder's files; `marker`, which makes the folder count, comes last."""
        self.remove_object(f"{name}/{marker}")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if file.name != marker:
                self.push(file, f"{name}/{file.relative_to(folder).as_posix()}")
        self.push(folder / marker, f"{name}/{marker}")

    def pull(self, name: str, target: Path) -> bool:
        """Downloads the object `name`, aside and then renamed; False where there is none."""
        system, root = _open(self.uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.part")
        try:
            with system.open_input_stream(f"{root}/{name}") as source, aside.open("wb") as sink:
                shutil.copyfileobj(source, sink, _PART_BYTES)
        except FileNotFoundError:
            aside.unlink(missing_ok=True)
            return False
        aside.replace(target)
        return True

    def pull_folder(self, name: str, target: Path) -> None:
        """Downloads every object under `name` into a folder."""
        for entry in self.names(name):
            self.pull(f"{name}/{entry}", target / entry)

    def names(self, under: str = "") -> list[str]:
        """The objects under a folder, relative to it, at any depth."""
        base, found = self._found(under, recursive=True)
        return sorted(info.path.lstrip("/").removeprefix(base).lstrip("/") for info in found if info.is_file)

    def folders(self, under: str = "") -> list[str]:
        """The names of the folders that lie directly in one."""
        _, found = self._found(under, recursive=False)
        return sorted(info.base_name for info in found if info.type.name == "Directory")

    def _found(self, under: str, *, recursive: bool) -> tuple[str, Any]:
        from pyarrow import fs

        system, root = _open(self.uri)
        base = f"{root}/{under}".rstrip("/")
        return base.lstrip("/"), system.get_file_info(fs.FileSelector(base, allow_not_found=True, recursive=recursive))

    def remove_object(self, name: str) -> None:
        system, root = _open(self.uri)
        try:
            system.delete_file(f"{root}/{name}")
        except FileNotFoundError:
            return

    def remove_folder(self, name: str, *, marker: str) -> None:
        """Removes a folder, its marker first, so that half of it never counts."""
        self.remove_object(f"{name}/{marker}")
        system, root = _open(self.uri)
        if system.get_file_info(f"{root}/{name}").type.name == "Directory":
            system.delete_dir(f"{root}/{name}")


def _open(uri: str) -> tuple[Any, str]:
    """The file system of a URI and the path in it, in which `%20` is a space."""
    system, path = open_filesystem(uri)
    return system, unquote(path).rstrip("/")


def _created(system: Any, path: str) -> Any:
    try:
        return system.open_output_stream(path)
    except FileNotFoundError:  # a store of real folders, which a bucket has not
        system.create_dir(path.rpartition("/")[0], recursive=True)
        return system.open_output_stream(path)
