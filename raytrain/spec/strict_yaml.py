"""Strict YAML: the 1.2 core schema, no surprises, and the line on which each field was written.

PyYAML's loader reads YAML 1.1 (`no` is False, `1e-3` a string, `012` ten, `1:30` ninety) and keeps the last of two
equal keys. This one takes only its parser and marks; scalars follow https://yaml.org/spec/1.2.2/#103-core-schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from raytrain.errors import Problem, SpecError
from raytrain.spec.line_numbers import LineNumbers, Loc, dotted

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_NODES = 200_000

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@dataclass(frozen=True, kw_only=True)
class YamlDocument:
    """Plain Python data of one YAML document, and where its parts stand."""

    data: Any
    lines: LineNumbers


def read_yaml(raw: bytes | str, file: str) -> YamlDocument:
    """The data of one YAML document.

    Raises:
        SpecError: not UTF-8, not YAML, several documents, a tag, a duplicate key, too large or too deep.
    """
    if len(raw) > MAX_BYTES:
        got, expected = f"a file of {len(raw):,} bytes", f"at most {MAX_BYTES:,} bytes of YAML"
        raise _refused(file, 0, got, expected, "put the rows into a csv or parquet file")
    node = _compose(_decode(raw, file), file)
    if node is None:
        raise _refused(file, 0, "nothing: the YAML is empty", "a job's fields")
    reading = _NodeReader(file)
    data = reading.value(node, ())
    if reading.problems:
        raise SpecError(*reading.problems)
    return YamlDocument(data=data, lines=LineNumbers(file, {(): node.start_mark.line + 1, **reading.lines}))


def parse_scalar(text: str) -> Any:
    """A plain (unquoted) scalar's value by the YAML 1.2 core schema.

    Raises:
        ValueError: a whole number with more digits than Python converts.
    """
    if _NULL.fullmatch(text):
        return None
    if match := _BOOL.fullmatch(text):
        return match[1] is not None
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _decode(raw: bytes | str, file: str) -> str:
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        got = f"the byte 0x{raw[error.start]:02x}, which is not UTF-8"
        raise _refused(file, line, got, "UTF-8 text", "save the file as UTF-8") from None


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's parser and composer, without its 1.1 resolvers and constructors."""

    def __init__(self, text: str, file: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._depth = 0
        self._file = file

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > 2 * MAX_DEPTH:
            raise _too_deep(self._file, self.line + 1)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _compose(text: str, file: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _Loader(text, file)
        return loader.get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        got = f"the character U+{int(error.character):04X}, which YAML does not allow"
        raise _refused(file, line, got, "printable text") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, file) from None
    except (ValueError, OverflowError):  # PyYAML asks Python for the character of "\\U00110000"
        line = loader.line + 1 if loader else 0
        raise _refused(file, line, "an escape that stands for no character", "at most \\U0010FFFF") from None


_QUOTE = "put a value that begins with a special character, such as '*.csv' or '@last', in quotes"
_SYNTAX_FIXES = {
    "alias": _QUOTE,
    "anchor": _QUOTE,
    "cannot start any token": _QUOTE,
    "mapping values are not allowed": "put a value that holds `: ` in quotes, or mend the indentation",
    "expected <block end>": "mend the indentation: keys of one map begin in the same column",
    "could not find expected ':'": "write `key: value`",
}


def _syntax_error(error: yaml.MarkedYAMLError, file: str) -> SpecError:
    """By PyYAML's words: it has no codes for what is wrong."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    what = str(error.problem or error.context)
    if "'\\t'" in what:
        return _refused(file, line, "a tab", "spaces: YAML is indented with spaces")
    if "another document" in what or "single document" in str(error.context):
        return _refused(file, line, "a second document after `---`", "one job a file", "make a file of each")
    around = f" ({error.context} that begins on line {error.context_mark.line + 1})" if error.context_mark else ""
    fix = next((fix for word, fix in _SYNTAX_FIXES.items() if word in f"{error.context} {what}"), "")
    return _refused(file, line, what.removeprefix("found ") + around, "valid YAML", fix)


def _too_deep(file: str, line: int) -> SpecError:
    return _refused(file, line, "maps and lists that never end", f"at most {MAX_DEPTH} levels")


def _refused(file: str, line: int, got: str, expected: str, fix: str = "") -> SpecError:
    return SpecError(Problem(got=got, expected=expected, fix=fix, file=file, line=line))


class _NodeReader:
    """One walk over the node tree; gathers every problem on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Loc, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        line = node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _refused(self.file, 0, "aliases that unfold without end", f"at most {MAX_NODES:,} values")
        if len(loc) > MAX_DEPTH:
            raise _too_deep(self.file, line)
        self.lines.setdefault(loc, line)
        if not str(node.tag).startswith("tag:yaml.org,2002:") or str(node.tag)[18:] not in ("str", "seq", "map"):
            self._refuse(
                loc, line, got=f"the tag {_short_tag(node.tag)}", expected="a plain value", fix="remove the tag"
            )
            return None
        if isinstance(node, yaml.MappingNode):
            return self._map(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*loc, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, loc, line)

    def _scalar(self, node: yaml.ScalarNode, loc: Loc, line: int) -> Any:
        if node.style is not None:  # quoted or block: always a string
            return self._text(node.value, loc, line)
        try:
            return parse_scalar(node.value)
        except ValueError:
            self._refuse(loc, line, got=f"a number of {len(node.value)} digits", expected="a number that fits")
            return None

    def _text(self, value: str, loc: Loc, line: int) -> str | None:
        """JSON writes a character beyond U+FFFF as two escapes, which YAML leaves two halves; half a one is none."""
        try:
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(loc, line, got="an escape that stands for half a character", expected="text")
            return None

    def _map(self, node: yaml.MappingNode, loc: Loc) -> dict[str | int, Any]:
        result: dict[str | int, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, loc, line)
            if key is None:
                continue
            if key in result:
                first = self.lines[(*loc, key)]
                got = f"the key `{key}` twice, on lines {first} and {line}"
                self._refuse((*loc, key), line, got=got, expected="each key once", fix="remove one of them")
                continue
            self.lines[(*loc, key)] = line
            result[key] = self.value(value_node, (*loc, key))
        return result

    def _key(self, node: yaml.Node, loc: Loc, line: int) -> str | int | None:
        key = self._scalar(node, loc, line) if isinstance(node, yaml.ScalarNode) else node
        if isinstance(node, yaml.ScalarNode) and key == "<<" and node.style is None:
            self._refuse(loc, line, got="a merge key `<<`", expected="the keys written out: YAML 1.2 has no merge keys")
            return None
        if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool)):
            return key
        what = f"the key {node.value or 'null'}" if isinstance(node, yaml.ScalarNode) else "a map or list as a key"
        self._refuse(loc, line, got=what, expected="a name", fix="put it in quotes if it is meant to be a name")
        return None

    def _refuse(self, loc: Loc, line: int, *, got: str, expected: str, fix: str = "") -> None:
        self.problems.append(Problem(got=got, expected=expected, fix=fix, field=dotted(loc), file=self.file, line=line))


def _short_tag(tag: str) -> str:
    return "!!" + tag.removeprefix("tag:yaml.org,2002:") if tag.startswith("tag:yaml.org,2002:") else tag
