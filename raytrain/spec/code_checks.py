"""Static checks of the user's Python: that each FILE.py:FUNCTION is there and can be called, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raytrain.errors import Problem
from raytrain.spec.base_checks import base_problems
from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import LineNumbers
from raytrain.spec.peek.named_files import check_inside, leaves_folder
from raytrain.spec.python_refs import NOT_CALLED, python_refs
from raytrain.spec.suggest import did_you_mean
from raytrain.spec.value_types import split_python_ref

BASE_ARGUMENT = "base"


def code_problems(spec: JobSpec, folder: Path, lines: LineNumbers) -> list[Problem]:
    """What is wrong with the Python and the saved models that the spec refers to, in the spec's order."""
    found: list[Problem] = []
    for loc, ref, arguments in python_refs(spec):
        found += [lines.located(problem, loc) for problem in _ref_problems(ref, folder, arguments)]
    if spec.model.python is not None and not any(problem.field == "model" for problem in found):
        found += _model_args_problems(spec, folder, lines)
    if spec.model.python is None:
        found += _without_function(spec, lines)
    found += base_problems(spec, folder, lines)
    return list(dict.fromkeys(found))


def _ref_problems(ref: str, folder: Path, arguments: int) -> Iterator[Problem]:
    file, name = split_python_ref(ref)
    tree = _parse(file, folder)
    if isinstance(tree, Problem):
        yield tree
        return
    names = _top_level(tree.body)
    if name not in names and "*" not in names:
        functions = [known for known, node in names.items() if isinstance(node, ast.FunctionDef)]
        yield Problem(
            got=f"`{name}`, which {file} does not define",
            expected=f"one of its functions: {', '.join(functions)}"
            if functions
            else f"a function of that name in {file}",
            fix=did_you_mean(name, [known for known in names if known != "*"]),
        )
        return
    function = names.get(name)
    if arguments != NOT_CALLED and isinstance(function, ast.FunctionDef) and not function.decorator_list:
        yield from _call_problems(function, file, arguments)


def _parse(file: str, folder: Path) -> ast.Module | Problem:
    if leaves_folder(file) or Path(file).is_absolute():
        expected = "a path within the job's folder: only that is uploaded"
        return Problem(got=f"{file}, which lies outside the folder", expected=expected, fix="move it into the folder")
    if problem := check_inside(file, folder):
        return problem
    try:
        return ast.parse((folder / file).read_bytes(), filename=file)
    except SyntaxError as error:
        line = (error.text or "").strip()
        got = f"{error.msg}: `{line}`" if line else str(error.msg)
        return Problem(got=got, expected="valid Python", file=file, line=error.lineno or 0)
    except (OSError, ValueError, RecursionError) as error:
        return Problem(got=str(error), expected="a Python file", file=file)


def _top_level(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Names that a module defines when it is imported; `*` where it imports names that cannot be known."""
    names: dict[str, ast.stmt] = {}
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names[node.name] = node
            case ast.Assign():
                leaves = [leaf for target in node.targets for leaf in ast.walk(target)]
                names |= {leaf.id: node for leaf in leaves if isinstance(leaf, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names[name] = node
            case ast.Import() | ast.ImportFrom():
                names |= {(alias.asname or alias.name.partition(".")[0]): node for alias in node.names}
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
                for block in ("body", "handlers", "orelse", "finalbody"):
                    for inner in getattr(node, block, []):
                        names |= _top_level(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])
    return names


@dataclass(frozen=True, kw_only=True)
class _Parameters:
    """A function's parameters: all names, those that need a value, and those that can be given by name."""

    names: list[str]
    positional: int
    required: set[str]
    by_name: list[str]
    takes_more: bool
    takes_any_name: bool

    @classmethod
    def of(cls, function: ast.FunctionDef) -> _Parameters:
        args = function.args
        positional = [arg.arg for arg in (*args.posonlyargs, *args.args)]
        keyword = [arg.arg for arg in args.kwonlyargs]
        optional = {name for name, default in zip(keyword, args.kw_defaults, strict=True) if default is not None}
        optional |= set(positional[len(positional) - len(args.defaults) :])
        return cls(
            names=positional + keyword,
            positional=len(positional),
            required={*positional, *keyword} - optional,
            by_name=[arg.arg for arg in args.args] + keyword,
            takes_more=args.vararg is not None,
            takes_any_name=args.kwarg is not None,
        )


def _call_problems(function: ast.FunctionDef, file: str, arguments: int) -> Iterator[Problem]:
    takes = _Parameters.of(function)
    given = takes.names[: min(arguments, takes.positional)]
    if takes.required - set(given) or (len(given) < arguments and not takes.takes_more):
        wanted = {0: "a function that can be called without arguments", 1: "a function of one argument"}[arguments]
        got = f"{function.name}({', '.join(takes.names)})"
        yield Problem(got=got, expected=wanted, file=file, line=function.lineno)


def _model_args_problems(spec: JobSpec, folder: Path, lines: LineNumbers) -> Iterator[Problem]:
    """`model_args` against the model function's parameters; `init_from` fills the one named `base`."""
    file, name = split_python_ref(str(spec.model.python))
    tree = _parse(file, folder)
    function = _top_level(tree.body).get(name) if isinstance(tree, ast.Module) else None
    if not isinstance(function, ast.FunctionDef) or function.decorator_list:
        return
    takes, where = _Parameters.of(function), f"{name} in {file}:{function.lineno}"
    for argument in spec.model_args:
        loc = ("model_args", argument)
        if argument == BASE_ARGUMENT and spec.init_from:
            yield lines.located(Problem(got="`base` twice: init_from fills it too", expected="one of the two"), loc)
        elif argument not in takes.by_name and not takes.takes_any_name:
            got = f"`{argument}`, which {where} does not take"
            expected = f"one of {', '.join(takes.by_name)}" if takes.by_name else "no arguments"
            problem = Problem(got=got, expected=expected, fix=did_you_mean(argument, takes.by_name))
            yield lines.located(problem, loc)
    if spec.init_from and BASE_ARGUMENT not in takes.by_name:
        got = f"{name}({', '.join(takes.names)}), which takes no `base`"
        expected = "a parameter `base`: the model that init_from names"
        yield Problem(got=got, expected=expected, field="init_from", file=file, line=function.lineno)
    given = {*spec.model_args, *([BASE_ARGUMENT] if spec.init_from else [])}
    missing = [parameter for parameter in takes.names if parameter in takes.required - given]
    if missing:
        fix = "add init_from" if missing == [BASE_ARGUMENT] else f"add model_args: {{{missing[0]}: …}}"
        got, expected = f"no value for {', '.join(missing)}", f"one for each parameter of {where}"
        yield lines.located(Problem(got=got, expected=expected, fix=fix), ("model_args",))


def _without_function(spec: JobSpec, lines: LineNumbers) -> Iterator[Problem]:
    """What reaches only a model function would be lost without one."""
    for name, given in (("model_args", spec.model_args), ("init_from", spec.init_from)):
        if given:
            got = f"{name} beside model.{spec.model.kind}"
            expected = f"model: FILE.py:FUNCTION, the only one that {name} reaches"
            yield lines.located(Problem(got=got, expected=expected), (name,))
