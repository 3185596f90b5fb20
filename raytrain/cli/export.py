"""`raytrain export`: writes a run's model for another runtime."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain import formatting
from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.export import export
from raytrain.client.find_run import find
from raytrain.export_protocol import FORMATS


def command(
    run: options.Run,
    format: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help=", ".join(FORMATS) + ".")] = "keras",
    to: Annotated[
        str | None, typer.Option("--output", metavar="PATH", help="A new folder; else in the run's directory.")
    ] = None,
    without_preprocessing: Annotated[
        bool, typer.Option("--without-preprocessing", help="The model alone, fed what the preprocessing steps make.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a run's model for another runtime.

    A folder with the model, its preprocessing inside, and its card, README.md. The signature has the names of the
    data's columns. What was written is run by its own runtime, and held against the model's answers on rows of the
    data, before it counts.

    What a format cannot express is refused by name; --without-preprocessing leaves the steps outside. onnx needs
    pip install 'raytrain[onnx]'. Exit code 10 when the export answers otherwise than the model.
    """
    out = Output(json=wants_json(json, Format.TEXT), quiet=quiet)
    exported = export(
        find(run, address=address, storage=storage),
        format=format,
        output=to,
        without_preprocessing=without_preprocessing,
        overwrite=overwrite,
        progress=out.say,
    )
    if out.json:
        out.result_json(exported.to_dict())
        return
    inputs = ", ".join(each.name for each in exported.inputs)
    out.result(exported.artifact)
    out.say(
        f"{formatting.size(exported.bytes)}, {inputs} -> {', '.join(exported.outputs)},"
        f" preprocessing {exported.preprocessing}; at most {exported.largest_difference:.0e} from the model's answers"
    )
