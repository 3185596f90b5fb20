"""The fields of a job, from its JSON Schema: type, default, example and meaning of each.

The examples stand in `job_examples.yaml`, a line a field; tests hold them to the schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.generate.markdown import code, table
from docs.generate.schema_words import Schema, branches, default_words, definitions_in, type_words
from raytrain.spec.json_schema import job_json_schema

SCHEMA: Schema = job_json_schema()
_EXAMPLES = Path(__file__).with_name("job_examples.yaml")
_HEAD = ("field", "type", "default", "such as", "what it is")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a job: its dotted `path`, and its `part` of the schema.

    Attributes:
        default: in words; empty where there is none to tell.
    """

    path: str
    part: Schema
    default: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """The fields below one place of a job; an empty `path` is the whole job."""

    path: str
    about: str
    fields: list[Field]


def sections() -> list[Section]:
    """All fields, each once: of the job, of each map in it, and of each map in `data`."""
    top = list(_fields("", SCHEMA))
    seen: set[str] = set()
    inner = [section for field in top for section in _sections(field, seen)]
    return [Section(path="", about="", fields=top), *(section for section in inner if section.fields)]


def field_tables() -> str:
    """The sections as Markdown."""
    examples, shown = read_examples(), sections()
    paths = {section.path for section in shown}
    return "\n".join(_section_text(section, examples, paths) for section in shown)


def read_examples() -> dict[str, str]:
    """The text after `PATH: ` in each line of the examples."""
    lines = _EXAMPLES.read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def _sections(field: Field, seen: set[str]) -> Iterator[Section]:
    """A section for each definition that a field takes and no earlier field took; within `data`, one level down."""
    for name in definitions_in(field.part):
        if name in seen:
            continue
        seen.add(name)
        definition = SCHEMA["$defs"][name]
        own = list(_fields(f"{field.path}.", definition))
        about = definition.get("description", "")
        if "." in field.path:
            yield Section(path=field.path, about=about, fields=_with_nested(own, seen))
        else:
            yield Section(path=field.path, about=about, fields=own)
            for inner in own:
                yield from _sections(inner, seen)


def _with_nested(own: list[Field], seen: set[str]) -> list[Field]:
    """The fields, and those within them; what several have alike is listed with the first."""
    listed: list[Field] = []
    told: list[Schema] = []
    for field in own:
        listed.append(field)
        for name in definitions_in(field.part):
            seen.add(name)
            nested = _with_nested(list(_fields(f"{field.path}.", SCHEMA["$defs"][name])), seen)
            listed += [inner for inner in nested if inner.part not in told]
            told += [inner.part for inner in nested]
    return listed


def _fields(prefix: str, definition: Schema) -> Iterator[Field]:
    one_of = definition.get("maxProperties") == 1
    for name, part in definition["properties"].items():
        required = name in definition.get("required", ())
        default = "required" if required else "" if one_of else default_words(part)
        yield Field(path=f"{prefix}{name}", part=part, default=default)


def _section_text(section: Section, examples: dict[str, str], paths: set[str]) -> str:
    """A heading, what the place is for, and a row a field; fields with a section of their own lead to it."""
    missing = [field.path for field in section.fields if field.path not in examples]
    if missing:
        raise ValueError(f"{_EXAMPLES.name} has no line for {', '.join(missing)}")
    rows = [_row(field, section, examples[field.path], has_section=field.path in paths) for field in section.fields]
    level = "###" if "." in section.path else "##"
    about = f"{section.about}\n\n" if section.about else ""
    return f"{level} {section.path or 'The whole job'}\n\n{about}{table(_HEAD, rows)}"


def _row(field: Field, section: Section, example: str, *, has_section: bool) -> list[str]:
    name = code(field.path.removeprefix(f"{section.path}."))
    if has_section:
        name = f"[{name}](#{field.path.replace('.', '')})"
    about = _about(field.part)
    return [name, type_words(field.part), field.default, code(f"{field.path.split('.')[-1]}: {example}"), about]


def _about(part: Schema) -> str:
    """What the field says of itself, else what its definitions say."""
    definitions = (SCHEMA["$defs"][name] for name in definitions_in(part))
    told = (schema.get("description", "") for schema in (part, *branches(part), *definitions))
    return next((text for text in told if text), "")
