"""What a check found, in one table: what was compared, the largest difference, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raytrain import formatting
from raytrain.check_protocol import Quantity, Verdict
from raytrain.cli.display.columns import columns
from raytrain.cli.output import Output
from raytrain.client.check import CheckReport

_MOST_NAMED = 20
_IN_WORDS = {
    Verdict.EQUAL: "equal",
    Verdict.NOISE: "noise: rounding alone makes as much of it",
    Verdict.DIFFERS: "differs",
    Verdict.CANNOT_REPEAT: "differs in one process, too, from one time to the next",
}
_ALIKE = {"gradient": "gradients of {count}", "variable": "values of {count}"}


def print_report(report: CheckReport, out: Output) -> None:
    """Prints the object or the table on stdout, and warnings on stderr."""
    if out.json:
        out.result_json(report.to_dict())
        return
    out.result(*table(report.comparison.quantities))
    out.result(conclusion(report))
    out.warn(*(f"warning: {warning}" for warning in report.warnings))


def table(quantities: Sequence[Quantity]) -> list[str]:
    """Each metric, and each variable that is not equal, in a line; all other variables in one."""
    return columns(["what", "largest difference", "verdict"], _rows(quantities))


def conclusion(report: CheckReport) -> str:
    """`digits: 2 workers give the answer of one process, in 8 steps (253 train rows)`."""
    found, is_one = report.comparison, report.workers == 1
    says = {
        Verdict.EQUAL: f"{'gives' if is_one else 'give'} the answer of one process",
        Verdict.DIFFERS: f"{'does' if is_one else 'do'} not give the answer of one process",
    }.get(report.verdict, "cannot be held against one process, which draws random numbers of its own")
    steps = formatting.plural(found.steps, "step")
    rows = ", ".join(f"{formatting.count(count)} {split}" for split, count in found.rows.items())
    aside = f"; set aside: {', '.join(found.set_aside)}" if found.set_aside else ""
    return f"{report.name}: {formatting.plural(report.workers, 'worker')} {says}, in {steps} ({rows} rows){aside}"


def _rows(quantities: Sequence[Quantity]) -> Iterator[tuple[str, str, str]]:
    told = [each for each in quantities if each.kind == "result" or each.verdict is not Verdict.EQUAL]
    others = [each for each in quantities if each not in told]
    results = [each for each in told if each.kind == "result"]
    variables = [each for each in told if each.kind != "result"]
    for each in results:
        yield each.name, _difference(each.difference), _IN_WORDS[each.verdict]
    for each in variables[:_MOST_NAMED]:
        yield f"{each.kind} {each.name}", _difference(each.difference), _IN_WORDS[each.verdict]
    if len(variables) > _MOST_NAMED:
        rest = variables[_MOST_NAMED:]
        yield f"{len(rest)} more", _difference(_largest(rest)), _IN_WORDS[rest[0].verdict]
    for kind, words in _ALIKE.items():
        alike = [each for each in others if each.kind == kind]
        if alike:
            name = words.format(count=formatting.plural(len(alike), "variable"))
            yield name, _difference(_largest(alike)), _IN_WORDS[Verdict.EQUAL]


def _largest(quantities: Sequence[Quantity]) -> float | None:
    sizes = [each.difference for each in quantities]
    return None if None in sizes else max(size for size in sizes if size is not None)


def _difference(size: float | None) -> str:
    """`3e-07`; `-` where there is no number for it."""
    return "-" if size is None else "0" if size == 0 else f"{size:.0e}"
