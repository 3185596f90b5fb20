"""The rules on who may import whom, and what stands at the top of the repository."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import raytrain
from raytrain.cli.main import VERBS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "raytrain"

# Packages whose import takes a second or more, or which a machine that only submits need not have.
HEAVY = ("ray", "tensorflow", "keras", "numpy", "pandas")

# The rooms, and those that each may import beside itself; everybody may import what stands beside the rooms.
ROOMS = {
    "run": (),
    "spec": ("run",),
    "cluster": ("run", "spec"),
    "report": ("run", "spec"),
    "client": (
        "run",
        "spec",
        "cluster",
        "report",
        "model",
    ),  # `model` within functions alone: the test of light modules sees to it
    "cli": ("run", "spec", "client"),
    "data": ("run", "spec"),
    "model": ("run", "spec", "data"),
    "worker": ("run", "spec", "data"),
    "driver": ("run", "spec", "data", "report", "worker", "model"),
}
LIGHT = ("run", "spec", "cluster", "report", "client", "cli")

TOP_LEVEL = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "install.sh", "cluster.yaml"} | {
    "raytrain",
    "jobs",
    "tests",
    "benchmarks",
    "docs",
    "mkdocs.yml",
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


def room_of(module: str) -> str:
    """The folder of `raytrain/` that a module stands in; empty for what stands beside the rooms."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


@pytest.mark.parametrize("file", modules(), ids=module_name)
def test_who_imports_whom(file: Path) -> None:
    importer = module_name(file)
    room = room_of(importer)
    if importer == "raytrain.__main__":
        allowed = {"cli"}
    elif importer == "raytrain":  # the door, whose imports are for type checkers: it looks names up when they are used
        allowed = {"", "client"}
    elif room:
        allowed = {"", room, *ROOMS[room]}
    else:  # `protocol` and `user_code` speak of the job and of what the run leaves behind
        allowed = {"", "run", "spec"}
    ours = [module for module in imports_of(file) if module.startswith("raytrain.")]

    assert [module for module in ours if room_of(module) not in allowed] == []


def test_no_two_modules_import_each_other() -> None:
    """Directly or in a circle, imports within functions included."""
    known = {name: file for file in modules() if (name := module_name(file)) != "raytrain"}  # imports at no time
    graph = {
        name: {
            module for target in imports_of(file) for module in (target, target.rpartition(".")[0]) if module in known
        }
        - {name}
        for name, file in known.items()
    }

    assert list(circles(graph)) == []


def circles(graph: dict[str, set[str]]) -> Iterator[set[str]]:
    """The sets of modules each of which comes to all others by its imports."""
    reached = {name: reachable(graph, name) for name in graph}
    done: set[str] = set()
    for name in graph:
        circle = {other for other in reached[name] if name in reached[other]}
        if name in reached[name] and name not in done:
            done |= circle
            yield circle


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [*graph[start]]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += graph[module]
    return found


def test_no_two_modules_share_a_base_name() -> None:
    """But for a verb's file in `cli/` beside the one module that does the verb."""
    places: dict[str, list[str]] = {}
    for file in modules():
        if file.stem not in ("__init__", "__main__"):
            places.setdefault(file.stem, []).append(module_name(file))
    twins = {
        name: found
        for name, found in places.items()
        if len(found) > 1 and not (name in VERBS and len(found) == 2 and f"raytrain.cli.{name}" in found)
    }

    assert twins == {}


def test_light_modules_import_nothing_heavy() -> None:
    """In a process of its own: importing every LIGHT module must leave the heavy packages unimported."""
    light = [name for file in modules() if room_of(name := module_name(file)) in (*LIGHT, "")]
    light.remove("raytrain.__main__")
    program = (
        "import importlib, sys\n"
        f"for module in {light!r}: importlib.import_module(module)\n"
        f"print(*[heavy for heavy in {HEAVY!r} if heavy in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_parses_calls_and_prints(verb: str) -> None:
    """What it does is the client's, what it looks like `cli/display`'s: its own file stays short."""
    assert len((PACKAGE / "cli" / f"{verb}.py").read_text(encoding="utf-8").splitlines()) <= 60


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


def test_the_door_costs_next_to_nothing() -> None:
    """At most twice as much as Typer alone, of which it imports nothing; measured by turns, the best of several."""

    def best_s(module: str) -> float:
        program = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
        command = [sys.executable, "-c", program]
        return min(float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(3))

    assert best_s("raytrain") <= 2 * best_s("typer")


def test_the_door_offers_what_type_checkers_see() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    seen = {alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert {name for name in raytrain.__all__ if name != "__version__"} == seen - {None}
    assert [name for name in raytrain.__all__ if getattr(raytrain, name) is None] == []


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
