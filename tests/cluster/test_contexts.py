"""Named clusters and storages, in a file that people may edit."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.cluster import contexts
from raytrain.cluster.connect import locate
from raytrain.errors import NotFound, RaytrainError, UsageError


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    contexts.add("prod", address="ray.example.com", storage="s3://bucket/runs", environ=environ)
    contexts.add("lab", address="http://10.0.0.7:8265", storage=None, environ=environ)
    return environ


def test_they_are_listed_by_name_and_none_is_used_before_it_is_chosen(environ: dict[str, str]) -> None:
    assert [(each.name, each.address, each.storage, each.used) for each in contexts.contexts(environ)] == [
        ("lab", "http://10.0.0.7:8265", None, False),
        ("prod", "http://ray.example.com:8265", "s3://bucket/runs", False),
    ]
    assert contexts.context_in_use(environ) is None


def test_jobs_go_to_the_one_in_use_unless_told_otherwise(environ: dict[str, str]) -> None:
    contexts.use("prod", environ)

    found = locate(None, environ)
    assert (found.url, found.source, found.storage) == (
        "http://ray.example.com:8265",
        "context prod",
        "s3://bucket/runs",
    )
    ray = {"RAY_API_SERVER_ADDRESS": "http://other:8265", "RAY_ADDRESS": "http://other:8265"}
    assert locate(None, environ | ray).source == "context prod"
    assert locate(None, environ | {"RAYTRAIN_CONTEXT": "lab"}).source == "context lab"
    assert locate(None, environ | {"RAYTRAIN_ADDRESS": "http://mine:8265"}).source == "RAYTRAIN_ADDRESS"
    given = locate("http://mine:8265", environ)
    assert (given.source, given.storage) == ("--address", None)

    contexts.use(None, environ)
    assert contexts.context_in_use(environ) is None


def test_one_that_is_removed_is_used_no_more(environ: dict[str, str]) -> None:
    contexts.use("lab", environ)
    contexts.remove("lab", environ)

    assert contexts.context_in_use(environ) is None
    assert [each.name for each in contexts.contexts(environ)] == ["prod"]


def test_one_that_is_not_there_is_named_with_those_that_are(environ: dict[str, str]) -> None:
    unknown = "no context named 'pord', expected one of lab, prod"
    with pytest.raises(NotFound, match=unknown):
        contexts.use("pord", environ)
    with pytest.raises(NotFound, match=unknown):
        contexts.remove("pord", environ)
    with pytest.raises(NotFound, match=unknown):
        contexts.context_in_use(environ | {"RAYTRAIN_CONTEXT": "pord"})


@pytest.mark.parametrize(("name", "address"), [("../x", "head"), ("", "head"), ("a b", "head"), ("ok", "ftp://head")])
def test_what_is_no_name_or_no_address_is_refused(environ: dict[str, str], name: str, address: str) -> None:
    with pytest.raises(UsageError):
        contexts.add(name, address=address, storage=None, environ=environ)


@pytest.mark.parametrize("text", ["[1, 2]", "contexts: 3", "contexts: {a: 1}", "contexts: {a: {}}", ": :", "\x00"])
def test_a_file_that_is_none_of_contexts_is_named(environ: dict[str, str], text: str) -> None:
    file = Path(environ["RAYTRAIN_STATE_DIR"]) / "contexts.yaml"
    file.write_text(text)

    with pytest.raises(RaytrainError, match=r"contexts\.yaml, which cannot be read"):
        contexts.contexts(environ)


def test_a_file_written_by_hand_is_read(environ: dict[str, str]) -> None:
    file = Path(environ["RAYTRAIN_STATE_DIR"]) / "contexts.yaml"
    file.write_text("use: lab\ncontexts:\n  lab: {address: 'http://10.0.0.8:8265'}\n")

    assert locate(None, environ).url == "http://10.0.0.8:8265"
