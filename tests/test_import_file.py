"""Files of the job's folder, imported by reference, are the modules that Python itself would make of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from ray import cloudpickle

from raytrain.import_file import modules_of
from raytrain.user_code import call_reference, load_reference
from tests.test_user_code import forgotten

__all__ = ["forgotten"]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("ref", "files"),
    [
        pytest.param(
            "net/model.py:build",
            {
                "net/__init__.py": "from .model import build",
                "net/model.py": "from .blocks import block\ndef build(): return block()",
                "net/blocks.py": "def block(): return 'ok'",
            },
            id="a package that imports the file, which imports its neighbour",
        ),
        pytest.param(
            "net/__init__.py:build",
            {"net/__init__.py": "from .model import build", "net/model.py": "def build(): return 'ok'"},
            id="the package's own file",
        ),
        pytest.param(
            "net/zoo/model.py:build",
            {
                "net/__init__.py": "SAID = 'ok'",
                "net/zoo/__init__.py": "from ..parts import part\nfrom .model import build",
                "net/parts.py": "def part(): return 'ok'",
                "net/zoo/model.py": "from net import SAID\nfrom ..parts import part\ndef build(): return part()",
            },
            id="packages within one another",
        ),
        pytest.param(
            "net/zoo/model.py:build",
            {
                "net/parts.py": "def part(): return 'ok'",
                "net/zoo/model.py": "from ..parts import part\nimport net.parts\nbuild = net.parts.part",
            },
            id="packages without a file of their own",
        ),
        pytest.param(
            "model.py:build",
            {"model.py": "import net\ndef build(): return net.said()", "net/__init__.py": "def said(): return 'ok'"},
            id="a file beside a package",
        ),
    ],
)
def test_what_python_imports_is_imported(ref: str, files: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)
    file, name = ref.split(":")
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    by_python = subprocess.run(
        [sys.executable, "-c", f"from {module} import {name}; print({name}())"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert by_python.stdout == "ok\n"
    assert call_reference(ref, tmp_path) == "ok"


def test_all_who_import_a_file_get_one_module(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "net/__init__.py": "from .model import Layer",
            "net/model.py": "class Layer: pass",
            "data.py": "from net.model import Layer\nimport net\nassert net.Layer is Layer",
            "net/callbacks.py": "from .model import Layer",
        },
    )
    refs = ["net/callbacks.py:Layer", "net/model.py:Layer", "data.py:Layer", "net/__init__.py:Layer"]
    assert len({load_reference(ref, tmp_path) for ref in refs}) == 1
    names = {module.__name__ for module in modules_of(tmp_path)}
    assert names == {"net", "net.model", "net.callbacks", "data"}


@pytest.mark.parametrize("own", [True, False], ids=["a package", "a folder"])
def test_a_package_may_bear_the_name_of_one_that_is_in_use(own: bool, tmp_path: Path) -> None:
    theirs = sys.modules["json"]
    files = {
        "json/model.py": "import json\nfrom .blocks import block\ndef build(): return json.dumps(block())",
        "json/blocks.py": "def block(): return 'ok'",
    }
    write(tmp_path, files | ({"json/__init__.py": "from .model import build"} if own else {}))
    assert call_reference("json/model.py:build", tmp_path) == '"ok"'
    assert load_reference("json/model.py:build", tmp_path) is load_reference("json/model.py:build", tmp_path)
    assert sys.modules["json"] is theirs


@pytest.mark.parametrize(
    "files",
    [
        {"net.py": "A = 1", "net/model.py": "B = 2"},
        {"net.py": "A = 1", "net/__init__.py": "C = 3", "net/model.py": "B = 2"},
    ],
)
def test_a_file_beside_a_folder_of_its_name(files: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)
    assert (load_reference("net.py:A", tmp_path), load_reference("net/model.py:B", tmp_path)) == (1, 2)


@pytest.mark.parametrize("file", ["my-model.py", "v1.2/model.py", "model.v2.py", "2026/model.py", "__main__.py"])
def test_a_file_of_a_name_that_python_cannot_spell(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("STARTED = object()")
    assert load_reference(f"{file}:STARTED", tmp_path) is load_reference(f"{file}:STARTED", tmp_path)


def test_packages_of_one_name_in_two_jobs_are_two(tmp_path: Path) -> None:
    for job in ("one", "two", "three"):
        files = {"net/__init__.py": "from .model import NAME", "net/model.py": "from .own import NAME"}
        write(tmp_path / job, files | {"net/own.py": f"NAME = '{job}'"})
    found = [load_reference("net/model.py:NAME", tmp_path / job) for job in ("one", "two", "three", "one", "two")]
    assert found == ["one", "two", "three", "one", "two"]


@pytest.mark.parametrize("inner", ["import nothing_of_that_name", "from . import nothing", "raise KeyError('x')"])
def test_what_a_package_raises_goes_through_as_it_is(inner: str, tmp_path: Path) -> None:
    write(tmp_path, {"net/__init__.py": inner, "net/model.py": "A = 1"})
    with pytest.raises((ImportError, KeyError)) as raised:
        load_reference("net/model.py:A", tmp_path)
    assert str(tmp_path / "net/__init__.py") in [str(entry.path) for entry in raised.traceback]
    write(tmp_path, {"net/__init__.py": ""})
    assert load_reference("net/model.py:A", tmp_path) == 1


def test_a_function_of_data_travels_with_what_its_package_has(tmp_path: Path) -> None:
    from raytrain.data.sources.user_rows import load_portable

    for name in ("json", "tables"):
        rows = "from .rows import one\ndef load(): return one()"
        write(tmp_path, {f"{name}/data.py": rows, f"{name}/rows.py": "def one(): return 1"})
        function = load_portable(f"{name}/data.py:load", tmp_path)
        (tmp_path / "sent").write_bytes(cloudpickle.dumps(function))
        there = "import pickle; print(pickle.load(open('sent', 'rb'))())"
        done = subprocess.run([sys.executable, "-c", there], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout == "1\n", done.stderr


def test_modules_that_are_imported_when_asked_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise ImportError(name)

    write(tmp_path, {"model.py": "A = 1"})
    monkeypatch.setitem(sys.modules, "lazy_one", Lazy("lazy_one"))
    load_reference("model.py:A", tmp_path)
    assert [module.__name__ for module in modules_of(tmp_path)] == ["model"]
