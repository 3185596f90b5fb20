"""Refuses secrets in a job: Ray shows a job's metadata and environment to every client, and spec.json is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raytrain.errors import Problem
from raytrain.spec.line_numbers import Loc, dotted

if TYPE_CHECKING:
    from raytrain.spec.job import JobSpec

_SECRET_PART = re.compile(
    r"KEY|(?:PG)?PASS|PASSPHRASE|PAT|PWD|\w*(?:API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)", re.IGNORECASE
)
# `HF_TOKEN_PATH` says where a secret is kept, which is none itself.
_NO_SECRET_PART = re.compile(r"PATH|FILE|DIR|NAME|COLUMN", re.IGNORECASE)
_WORKING_DIRECTORY = "PWD"
_REFERENCE = re.compile(r"\$\{[A-Z0-9_]+\}")

# `user@` or `user:password@`; what is a host's port, or has an `@` in its path alone, is neither.
_URI = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*)://"
    r"(?:(?P<user>[^/:@\s\[]*)(?::(?P<password>(?!\d+(?:[/?#\s]|$))[^@\s]*))?@)?"
    r"(?=(?P<rest>\S*))"  # looked at alone: it may hold a URI itself
)
_QUERY_NAME = re.compile(r"[?&]([\w.-]+)=([^&\s]+)")
# Where the name before the `@` is a key; elsewhere it is a user's, `anonymous`, or a container's.
_NAME_IS_KEY = re.compile(r"s3\w?|(?:\w+\+)?https?")
_REPOSITORY = "github"  # of fsspec: `github://organisation:repository@branch/path`

_NONE_IN_A_JOB = "no secrets in a job: everybody who sees the cluster can read it"
_ROLE = "give the cluster's nodes the key, by their role or their environment"


def secret_problems(spec: JobSpec) -> list[Problem]:
    """What in a job is a secret's value: of a variable, of a catalog's property, or within a URI; never shown.

    The rows of `inline` are data, and are not looked at.
    """
    body = spec.model_dump(mode="json")
    for part in ("train", "validation", "test"):
        if isinstance(source := body["data"].get(part), dict):
            source.pop("inline", None)
    return [*_secret_values(body), *_in_uris(body)]


def is_secret(name: str) -> bool:
    """Whether a variable's or property's name says that its value is secret: `HF_TOKEN`, `s3.secret-access-key`."""
    parts = re.split(r"[_.-]", name)
    if name.upper() == _WORKING_DIRECTORY:
        return False
    return any(map(_SECRET_PART.fullmatch, parts)) and not _NO_SECRET_PART.fullmatch(parts[-1])


def uri_with_key(text: str) -> re.Match[str] | None:
    """The first URI in a text that has a user's key in it; its group `scheme` may be shown."""
    return next((uri for uri in _URI.finditer(text) if _holds_key(uri)), None)


def _secret_values(body: dict[str, Any]) -> Iterator[Problem]:
    for name, value in body["environment"]["env_vars"].items():
        if _gives_away(name, value):
            yield Problem(
                got=f"a value for {name}, which every client of the cluster could read",
                expected="a reference to a variable that the cluster's machines have themselves",
                fix=f"write {name}: ${{{name.upper()}}} and set it on the cluster",
                field=dotted(("environment", "env_vars", name)),
            )
    for part in ("train", "validation", "test"):
        source = body["data"].get(part)
        catalog = ((source if isinstance(source, dict) else {}).get("iceberg") or {}).get("catalog", {})
        for name, value in catalog.items():
            if _gives_away(name, value):
                yield Problem(
                    got=f"a value for {name}, which every client of the cluster could read",
                    expected="no secrets in a catalog's properties",
                    fix=f"leave it out and set {_variable(catalog.get('name', 'default'), name)} on the cluster",
                    field=dotted(("data", part, "iceberg", "catalog", name)),
                )


def _gives_away(name: str, value: str) -> bool:
    return bool(value) and is_secret(name) and not _REFERENCE.fullmatch(value.strip())


def _variable(catalog: str, name: str) -> str:
    """PyIceberg's environment variable for a property."""
    return f"PYICEBERG_CATALOG__{catalog}__{name.replace('.', '__').replace('-', '_')}".upper()


def _in_uris(value: Any, loc: Loc = ()) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _in_uris(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _in_uris(item, (*loc, index))
    elif isinstance(value, str) and (found := uri_with_key(value)):
        is_pip = loc[:2] == ("environment", "pip")
        yield Problem(
            got=f"a URI {found['scheme']}://… with a key in it",
            expected=_NONE_IN_A_JOB,
            fix="write ${NAME} in its place, and set NAME on the cluster" if is_pip else _ROLE,
            field=dotted(loc),
        )


def _holds_key(uri: re.Match[str]) -> bool:
    scheme, user, password = uri["scheme"].lower(), uri["user"], uri["password"]
    if any(_gives_away(name, value) for name, value in _QUERY_NAME.findall(uri["rest"])):
        return True
    if password is not None and scheme != _REPOSITORY:
        return bool(password) and not _REFERENCE.fullmatch(password)
    return bool(user) and _NAME_IS_KEY.fullmatch(scheme) is not None and not _REFERENCE.fullmatch(user)
