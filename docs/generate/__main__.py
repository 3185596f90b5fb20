"""Brings the generated parts of all pages up to date: `python -m docs.generate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from docs.generate.job_fields import field_tables
from docs.generate.markdown import replace_block
from docs.generate.python_api import error_list, reference
from docs.generate.rooms import drawing, room_table
from docs.generate.verbs import verb_sections, verb_table

DOCS = Path(__file__).parents[1]


def generated() -> Mapping[str, str]:
    """The whole text of each file that is generated, or has a part that is, by its path below docs/."""
    blocks = {
        "job-spec.md": {"fields": field_tables()},
        "cli.md": {"verb table": verb_table(), "verbs": verb_sections()},
        "architecture.md": {"rooms": room_table()},
        "python-api.md": {"errors": error_list(), "reference": reference()},
    }
    files = {"pictures/rooms.svg": drawing()}
    for name, parts in blocks.items():
        files[name] = (DOCS / name).read_text()
        for block, text in parts.items():
            files[name] = replace_block(files[name], block, text)
    return files


def main() -> None:
    for name, text in generated().items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
