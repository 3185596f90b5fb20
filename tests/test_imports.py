"""The rules on who may import whom, and what stands at the top of the repository."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "raytrain"

# Packages whose import takes a second or more, or which a machine that only submits need not have.
HEAVY = ("ray", "tensorflow", "keras", "numpy", "pandas")

TOP_LEVEL = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "cluster.yaml"} | {
    "raytrain",
    "jobs",
    "tests",
}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports_of(file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it, functions included; `from a import b` counts as `a.b`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_under(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("file", modules(), ids=module_name)
def test_who_imports_whom(file: Path) -> None:
    importer = module_name(file)
    forbidden: tuple[str, ...] = ()
    if not is_under(importer, "raytrain.cli", "raytrain.__main__"):
        forbidden += ("raytrain.cli",)
    if is_under(importer, "raytrain.cli", "raytrain.watcher", "raytrain.cluster", "raytrain.spec", "raytrain.events"):
        forbidden += ("raytrain.driver", "raytrain.worker")
    if is_under(importer, "raytrain.worker"):
        forbidden += ("raytrain.cluster", "raytrain.driver")
    if is_under(importer, "raytrain.driver"):
        forbidden += ("raytrain.cluster",)

    assert not [module for module in imports_of(file) if is_under(module, *forbidden)]


def test_light_modules_import_nothing_heavy() -> None:
    """In a process of its own: importing every LIGHT module must leave the heavy packages unimported."""
    folders = ("spec", "events", "cluster", "cli")
    light = [module_name(file) for file in modules() if file.relative_to(PACKAGE).parts[0] in folders]
    light += ["raytrain.errors", "raytrain.run", "raytrain.watcher"]
    program = (
        "import importlib, sys\n"
        f"for module in {light!r}: importlib.import_module(module)\n"
        f"print(*[heavy for heavy in {HEAVY!r} if heavy in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("verb", [["--help"], ["validate", "jobs/digits"], ["submit", "--help"]])
def test_light_verbs_import_nothing_heavy(verb: list[str]) -> None:
    """Nor rich, which draws on terminals only."""
    unwanted = (*HEAVY, "rich", "requests")
    program = (
        "import sys\nfrom raytrain.cli.main import app\n"
        f"try: app({verb!r})\n"
        f"finally: print(*[module for module in {unwanted!r} if module in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == ""


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not [file for file in modules() if file.stem in ("utils", "util", "helpers", "common", "constants", "misc")]


def test_the_top_level_stays_small() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    visible = {path.split("/")[0] for path in listed.stdout.splitlines()}

    assert {name for name in visible if not name.startswith(".")} <= TOP_LEVEL


def test_every_file_stays_below_300_lines() -> None:
    long = {module_name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in modules()}

    assert {name: lines for name, lines in long.items() if lines > 300} == {}
