"""The places of Ray that are not public: all that the package names are known, are there, and are missed when gone."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import re
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest
import ray

from raytrain import ray_internals
from raytrain.ray_internals import USES, Use
from tests.test_imports import imports_of, module_name, modules

PLACES = [(use, place) for use in USES for place in use.places]
PRIVATE = re.compile(r"ray\..*(\._[^_]|\bgenerated\b)|ray\._[^_]")
CALLED = [(use, place) for use, place in PLACES if "(" in place]


def dotted(place: str) -> str:
    return place.partition("(")[0].replace(":", ".")


def owner_of(place: str) -> tuple[Any, str]:
    """The object that a place is an attribute of, and the attribute's name."""
    module, _, name = place.partition("(")[0].partition(":")
    owner, _, last = name.rpartition(".")
    found: Any = importlib.import_module(module)
    return (attrgetter(owner)(found) if owner else found), last


@pytest.mark.parametrize("use", USES, ids=lambda use: use.without)
def test_the_installed_ray_has_all_of_it(use: Use) -> None:
    assert ray_internals.missing(use) == []


def test_what_ray_adds_to_the_methods_of_an_actor_is_none_of_its_parameters() -> None:
    ray.remote(importlib.import_module("ray.train.v2._internal.execution.controller").TrainController)
    assert ray_internals.missing(ray_internals.CONTROLLER) == []


def test_there_is_nothing_to_say_of_the_installed_ray() -> None:
    assert ray_internals.notices() == []


@pytest.mark.parametrize(("use", "place"), PLACES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_place_that_has_gone_is_named(use: Use, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name = owner_of(place)
    with contextlib.suppress(AttributeError):  # of an instance
        monkeypatch.delattr(owner, name)
    if hasattr(owner, name):  # as of a class in C: then all of it
        module, _, path = place.partition(":")
        monkeypatch.delattr(importlib.import_module(module), path.partition(".")[0])
    assert place in ray_internals.missing(use)
    assert not ray_internals.is_there(use)
    [notice] = ray_internals.notices()
    assert place in notice
    assert use.without in notice


@pytest.mark.parametrize(("use", "place"), CALLED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_place_that_takes_something_else_is_named(use: Use, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*owner_of(place), lambda what, it, took, before: None)
    assert ray_internals.missing(use) == [place]


def test_a_module_that_has_gone_is_no_error() -> None:
    use = dataclasses.replace(USES[0], places=("ray.train.v3._internal:Anything",))
    assert ray_internals.missing(use) == list(use.places)


def named_of_ray(tree: ast.AST) -> Iterator[str]:
    """The attributes of `ray` that a program names, as `ray.a.b`."""
    for node in ast.walk(tree):
        names = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == "ray":
            yield ".".join(["ray", *reversed(names)])


def test_the_package_names_no_private_place_of_ray_that_is_not_looked_at() -> None:
    known = [dotted(place) for _, place in PLACES]
    unknown = []
    for file in modules():
        named = {*imports_of(file), *named_of_ray(ast.parse(file.read_text(encoding="utf-8")))}
        private = [name for name in named if PRIVATE.match(name)]
        unknown += [
            (module_name(file), name)
            for name in private
            if not any(f"{place}.".startswith(f"{name}.") or name.startswith(f"{place}.") for place in known)
        ]
    assert unknown == []


def test_only_what_is_imported_on_condition_imports_private_places_as_it_is_imported() -> None:
    importing = set()
    for file in modules():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and "._" in str(node.module) and str(node.module).startswith("ray."):
                importing.add(module_name(file))
    assert importing == {"raytrain.driver.train_controller", "raytrain.driver.workers_ahead"}
