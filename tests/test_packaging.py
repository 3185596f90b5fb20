"""What pyproject.toml promises, and what a wheel built from it holds."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
NEEDED = {(requirement := Requirement(text)).name: requirement for text in PROJECT["dependencies"]}


def test_the_five_named_packages_are_there() -> None:
    assert {"ray", "tensorflow", "scikit-learn", "pyarrow", "typer"} <= NEEDED.keys()
    assert {"default", "data", "train", "tune"} <= NEEDED["ray"].extras


def test_extras() -> None:
    extras = PROJECT["optional-dependencies"]
    (gpu,) = (Requirement(text) for text in extras["gpu"])
    assert (gpu.name, gpu.extras) == ("tensorflow", {"and-cuda"})
    assert gpu.specifier == NEEDED["tensorflow"].specifier
    assert {"pytest", "ruff", "mypy"} <= {Requirement(text).name for text in extras["dev"]}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_python_versions(python: str) -> None:
    assert python in SpecifierSet(PROJECT["requires-python"])


def test_python_versions_end_where_tensorflow_ends() -> None:
    supported = SpecifierSet(PROJECT["requires-python"])
    assert "3.10" not in supported
    assert "3.14" not in supported


def test_the_installation_looks_for_the_same_pythons() -> None:
    script = (ROOT / "install.sh").read_text()
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in script
    named = re.search(r"candidates=(.*)", script)
    assert named is not None
    assert set(re.findall(r"python3\.\d+", named[1])) == {"python3.11", "python3.12", "python3.13"}


def test_no_package_index_is_named() -> None:
    for name in ("pyproject.toml", "Makefile", "install.sh", ".ci/run", "cluster.yaml"):
        assert not re.search(r"pypi|index-url|extra-index|simple/", (ROOT / name).read_text()), name


def test_every_third_party_import_is_declared() -> None:
    """Also imports inside functions; packages that come with a declared one by design are named here."""
    provided = {"sklearn": "scikit-learn", "yaml": "pyyaml", "numpy": "tensorflow", "pandas": "ray", "h5py": "keras"}
    provided |= {"ml_dtypes": "tensorflow", "PIL": "pillow", "google": "tensorflow", "fsspec": "ray"}
    provided |= {"google_crc32c": "google-crc32c", "urllib3": "requests"}
    provided |= {"pydantic_core": "pydantic", "mlflow": "mlflow-skinny"}
    extras = PROJECT["optional-dependencies"]
    sources = [
        Requirement(text).name
        for kind in ("delta", "iceberg", "lance", "huggingface", "mlflow", "wandb", "onnx")
        for text in extras[kind]
    ]
    declared = {name.lower() for name in (*NEEDED, *sources)}
    for path in sorted((ROOT / "raytrain").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for top in {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"raytrain"}:
                assert provided.get(top, top).lower() in declared, f"{path}: {top}"


def test_license_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "the raytrain authors" in text


def test_console_script_exists() -> None:
    module, function = PROJECT["scripts"]["raytrain"].split(":")
    tree = ast.parse((ROOT / Path(*module.split("."))).with_suffix(".py").read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_wheel_holds_the_whole_package(tmp_path: Path) -> None:
    if not _have("hatchling"):
        pytest.skip("hatchling, which builds the wheel, is not installed here; pip fetches it when it builds")
    build = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("raytrain-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    files = [path for path in (ROOT / "raytrain").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in files} <= held
    assert not [name for name in held if name.startswith(("tests/", "jobs/"))]
    assert [name for name in held if name.endswith("licenses/LICENSE")]


def _have(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
