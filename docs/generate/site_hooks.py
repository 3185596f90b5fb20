"""What MkDocs is told beside mkdocs.yml: the README is the first page, and some files of the repository are pages, too.

The pages are written for readers of the repository, who follow `../jobs/digits/README.md` from a page in docs/. The
site has such a file as `repository/jobs/digits/README.md`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
# What pages may link to outside of docs/.
_SHOWN = ("CHANGELOG.md", "cluster.yaml", "jobs/*/README.md", "benchmarks/notes/*.md")


def on_files(files: Files, *, config: Any) -> Files:
    """Adds the README as the first page, and the files outside of docs/."""
    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text()))
    for pattern in _SHOWN:
        for path in ROOT.glob(pattern):
            place = f"repository/{path.relative_to(ROOT).as_posix()}"
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Turns the links of the repository into those of the site."""
    if page.file.src_uri == "index.md":
        return re.sub(r"\]\((?!docs/|[a-z]+:|#)", "](repository/", markdown).replace("](docs/", "](")
    return markdown.replace("](../", "](repository/")
