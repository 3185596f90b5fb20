"""A run's directory in an object store (`s3://`, `gs://`, …): pushed from where it is written, pulled where it is read.

LIGHT: pyarrow, which does all but `create`, and obstore are imported when they are first needed. An object is replaced
whole, so a reader sees the old or the new one. A folder has no such moment: its marker is pushed after all else and
removed before all else, and a folder without its marker does not count.
"""

from __future__ import annotations

import functools
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from raytrain.file_systems import is_uri, open_filesystem

_PART_BYTES = 8 << 20
_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


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

    def read(self, name: str) -> bytes | None:
        """The content of the object `name`, a small one; None where there is none."""
        system, root = _open(self.uri)
        try:
            with system.open_input_stream(f"{root}/{name}") as source:
                return bytes(source.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Writes the object `name`, a small one, over what there was."""
        system, root = _open(self.uri)
        with _created(system, f"{root}/{name}") as target:
            target.write(content)

    def create(self, name: str, content: bytes) -> bool:
        """Writes the object `name` where there is none, by a conditional put; False where there is one.

        Of several at once one is told True, if the store takes conditions: see `raytrain.run.store_claim.claims_by`.
        """
        try:
            import obstore
            from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
        except ImportError as error:  # a cluster that was made for an earlier version
            raise OSError("obstore is not installed") from error
        try:
            obstore.put(_open_to_create(self.uri), name, content, mode="create")
        except (AlreadyExistsError, PreconditionError):
            return False
        except BaseError as error:
            reason = str(error).partition("\n")[0]
            raise OSError(f"{self.uri} cannot be written: {reason}") from error
        return True

    def pull_folder(self, name: str, target: Path) -> None:
        """Downloads every object under `name` into a folder."""
        for entry in self.names(name):
            self.pull(f"{name}/{entry}", target / entry)

    def names(self, under: str = "") -> list[str]:
        """The objects under a folder, relative to it, at any depth."""
        base, found = self._found(under, recursive=True)
        return sorted(info.path.lstrip("/").removeprefix(base).lstrip("/") for info in found if info.is_file)

    def sizes(self) -> list[int]:
        """Bytes of each object, at any depth."""
        _, found = self._found("", recursive=True)
        return [int(info.size or 0) for info in found if info.is_file]

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


@functools.cache
def _open_to_create(uri: str) -> Any:
    """The same folder as obstore opens it, told what pyarrow knows of it: the endpoint and the bucket's region.

    Raises:
        OSError: the URI has options that obstore has no name for.
    """
    from obstore.store import from_url

    parts = urlsplit(uri)
    config: Any = {}
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "s3":
        config["region"] = _open(uri)[0].region
        if endpoint := options.get("endpoint_override"):
            config["endpoint"] = endpoint if "://" in endpoint else f"{options.get('scheme', 'https')}://{endpoint}"
    elif options:
        raise OSError(f"{uri} has options that obstore does not know")
    plain = urlunsplit(parts._replace(query="", scheme="gs" if parts.scheme == "gcs" else parts.scheme))
    http: Any = {"allow_http": config.get("endpoint", "").startswith("http://")}
    return from_url(plain, config=config, client_options=http, retry_config=_RETRIES)
