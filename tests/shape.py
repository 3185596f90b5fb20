"""Counts what can be counted of the package's shape: `make shape`. The bounds among them are tests (`test_imports`)."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "raytrain"
# What turns typed values into JSON and back: there a map is what it is about.
_JSON = ("to_json", "to_dict", "from_json", "from_line", "json_line", "known_fields", "finite")


def lines_of(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def untyped(file: Path) -> list[str]:
    """The public functions and fields of a module that hand on a `dict[str, Any]`."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name not in _JSON:
            hints = [argument.annotation for argument in (*node.args.args, *node.args.kwonlyargs)]
            if any("dict[str, Any]" in ast.unparse(hint) for hint in (*hints, node.returns) if hint is not None):
                found.append(f"{node.name}()")
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            fields = (item for item in node.body if isinstance(item, ast.AnnAssign))
            found += [f"{node.name}.{ast.unparse(item.target)}" for item in fields if _is_map(item)]
    return found


def _is_map(field: ast.AnnAssign) -> bool:
    return "dict[str, Any]" in ast.unparse(field.annotation) and not ast.unparse(field.target).startswith("_")


def main() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    rooms = Counter[str]()
    for file in files:
        parts = file.relative_to(PACKAGE).parts
        rooms[parts[0] if len(parts) > 1 else "(beside)"] += lines_of(file)
    print(f"{sum(rooms.values()):,} lines in {len(files)} modules")  # noqa: T201
    for room, lines in rooms.most_common():
        print(f"  {room:<10} {lines:>6,}")  # noqa: T201
    names = Counter(file.stem for file in files if not file.stem.startswith("__"))
    print("base names that stand twice:", *sorted(name for name, count in names.items() if count > 1))  # noqa: T201
    longest = max(files, key=lines_of)
    print(f"longest file: {longest.relative_to(PACKAGE)}, {lines_of(longest)} lines")  # noqa: T201
    verbs = {file.stem: lines_of(file) for file in (PACKAGE / "cli").glob("*.py")}
    print("longest in cli/:", max(verbs.items(), key=lambda item: item[1]))  # noqa: T201
    maps = {str(file.relative_to(PACKAGE)): found for file in files if (found := untyped(file))}
    print(f"dict[str, Any] handed on: {sum(map(len, maps.values()))}")  # noqa: T201
    for name, found in maps.items():
        print(f"  {name}: {', '.join(found)}")  # noqa: T201


if __name__ == "__main__":
    main()
