"""The pages that people read, README.md among them, and what stands in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = "README.md"
# The text of every page by its path from the root, those of jobs/ apart, which tests/jobs holds to the program.
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(ROOT.glob("docs/*.md"))}
PAGES |= {README: (ROOT / README).read_text()}
CODE = "\n".join(path.read_text() for path in sorted((ROOT / "raytrain").rglob("*.py")))


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language in a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def block_with(page: str, language: str, words: str) -> str:
    [found] = [block for block in blocks(page, language) if words in block]
    return found


def prose(page: str) -> str:
    """The text without its code blocks."""
    return re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)


def section(page: str, heading: str) -> str:
    """What stands below a heading, up to the next one of any level."""
    [(_, text)] = [part for part in sections(page) if part[0] == heading]
    return text


def sections(page: str) -> list[tuple[str, str]]:
    """Every heading of a page, code blocks left out, and the text below it."""
    parts = re.split(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def table(page: str, head: str) -> list[list[str]]:
    """The cells of the rows of the only table in a page whose first column is headed `head`."""
    [(_, rows)] = [found for found in tables(PAGES[page]) if found[0] == head]
    return rows


def tables(text: str) -> list[tuple[str, list[list[str]]]]:
    """Every table: the head of its first column, and the cells of its rows."""
    found = []
    for lines in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]
        found.append((head[0], rows))
    return found


def codes(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def flowers_csv() -> str:
    """A csv file of the form that the README shows, of 150 rows."""
    head, *rows = block_with(README, "text", "length,width,species").splitlines()
    return "\n".join([head, *rows * 50]) + "\n"
