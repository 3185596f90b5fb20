"""Contexts: clusters and storages by a name of the user's, kept in one file that a person can read and edit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raytrain.cluster.address import normalise
from raytrain.errors import NotFound, Problem, UsageError
from raytrain.files import state_dir, write_whole

VARIABLE = "RAYTRAIN_CONTEXT"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class Context:
    """A named cluster and storage.

    Attributes:
        address: the dashboard's url.
        storage: for jobs that name none of their own, and where runs are looked for; None for neither.
        used: jobs go there where nothing else is said.
    """

    name: str
    address: str
    storage: str | None = None
    used: bool = False

    @property
    def in_words(self) -> str:
        """Who named the cluster."""
        return f"context {self.name}"

    def to_dict(self) -> dict[str, Any]:
        """As `context --json` prints it."""
        return asdict(self)


def contexts(environ: Mapping[str, str]) -> list[Context]:
    """All that were added, by name.

    Raises:
        UsageError: the file cannot be read as one of contexts.
    """
    used, kept = _read(environ)
    return [Context(name=name, used=name == used, **fields) for name, fields in sorted(kept.items())]


def context_in_use(environ: Mapping[str, str]) -> Context | None:
    """The one that `RAYTRAIN_CONTEXT` names, else the one that `use` chose, if any.

    Raises:
        NotFound: the variable names one that was not added.
    """
    named = environ.get(VARIABLE, "").strip()
    if named:
        return _named(named, contexts(environ))
    return next((each for each in contexts(environ) if each.used), None)


def add(name: str, *, address: str, storage: str | None, environ: Mapping[str, str]) -> Context:
    """Adds a context, or changes the one of that name.

    Raises:
        UsageError: the name, or the address, is none.
    """
    if not _NAME.fullmatch(name):
        expected = "letters, digits, dots, dashes and underscores, 63 at most, the first no sign"
        raise UsageError(Problem(got=f"a context named {name!r}", expected=expected))
    used, kept = _read(environ)
    fields = {"address": normalise(address)} | ({"storage": storage} if storage else {})
    _write(used, kept | {name: fields}, environ)
    return Context(name=name, used=name == used, **fields)


def use(name: str | None, environ: Mapping[str, str]) -> Context | None:
    """Lets jobs go to the context; None for none of them.

    Raises:
        NotFound: it was not added.
    """
    chosen = None if name is None else _named(name, contexts(environ))
    _write(name, _read(environ)[1], environ)
    return chosen and Context(name=chosen.name, address=chosen.address, storage=chosen.storage, used=True)


def remove(name: str, environ: Mapping[str, str]) -> None:
    """Forgets a context.

    Raises:
        NotFound: it was not added.
    """
    _named(name, contexts(environ))
    used, kept = _read(environ)
    _write(None if used == name else used, {each: kept[each] for each in kept if each != name}, environ)


def _named(name: str, known: list[Context]) -> Context:
    for context in known:
        if context.name == name:
            return context
    names = ", ".join(context.name for context in known)
    raise NotFound(
        Problem(
            got=f"no context named {name!r}",
            expected=f"one of {names}" if names else "one that was added",
            fix="raytrain context add NAME --address http://HOST:8265",
        )
    )


def _path(environ: Mapping[str, str]) -> Path:
    return state_dir(environ) / "contexts.yaml"


def _read(environ: Mapping[str, str]) -> tuple[str | None, dict[str, dict[str, str]]]:
    import yaml

    path = _path(environ)
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        kept = {str(name): _fields(fields) for name, fields in (body.get("contexts") or {}).items()}
        used = body.get("use")
    except (FileNotFoundError, NotADirectoryError):
        return None, {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, LookupError, TypeError) as error:
        problem = Problem(
            got=f"{path}, which cannot be read: {str(error).splitlines()[0]}",
            expected="use: NAME, and contexts: {NAME: {address: http://HOST:8265, storage: s3://bucket/runs}}",
            fix="mend the file, or take it away",
        )
        raise UsageError(problem) from None
    return (str(used) if used in kept else None), kept


def _fields(fields: Mapping[str, Any]) -> dict[str, str]:
    storage = {"storage": str(fields["storage"])} if fields.get("storage") else {}
    return {"address": str(fields["address"])} | storage


def _write(used: str | None, kept: dict[str, dict[str, str]], environ: Mapping[str, str]) -> None:
    import yaml

    path = _path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump({"use": used, "contexts": kept}, sort_keys=False))
