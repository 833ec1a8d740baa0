"""The commands and their options. Each command's work is in its own module, imported when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

import isopter
from isopter.cli.plain import HELP

F = TypeVar("F", bound=Callable[..., Any])

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # what TensorFlow says of the processor does not belong beside a table

OK, FAILED, USAGE, MODEL, INCOMPLETE = range(5)
"""Exit statuses."""


class Isopter(click.Group):
    """A group whose every error is one clear message on standard error, and a status."""

    def get_help(self, ctx: click.Context) -> str:
        """The text that the entry point prints without click."""
        return HELP.rstrip()

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run a command and exit with its status."""
        extra["standalone_mode"] = False
        try:
            status = super().main(args, prog_name, **extra)
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "isopter"
            status = _complain(f"{error.format_message()} (see {path} --help)", USAGE)
        except (click.Abort, KeyboardInterrupt):
            status = _complain("interrupted.", 130)
        except Exception as error:
            status = _complain(*_explained(error))
        sys.exit(status if isinstance(status, int) else OK)


def _explained(error: Exception) -> tuple[str, int]:
    """The message and the status of an exception."""
    from isopter.errors import IsopterError, UnsupportedOps, UsageError

    match error:
        case UnsupportedOps():
            return str(error), INCOMPLETE
        case UsageError():
            return str(error), USAGE
        case IsopterError():
            return str(error), MODEL
        case _:
            if os.environ.get("ISOPTER_TRACEBACK"):
                raise error
            said = " ".join(str(error).split())[:300]
            hint = "This is a fault in isopter; set ISOPTER_TRACEBACK=1 to see where, and please report it."
            return f"{type(error).__name__}: {said}. {hint}", MODEL


def _complain(message: str, status: int) -> int:
    click.echo(f"isopter: {message}", err=True)
    return status


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _one(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> str | None:
    """The size that was given, which must be one."""
    if len(given) > 1:
        hint = "For a model of several inputs use Python: isopter.analyze(model, inputs=...), with a tensor for each."
        raise click.BadParameter(f"given {len(given)} times ({', '.join(given)}), and one size is taken. {hint}")
    return given[0] if given else None


_model = click.argument("model")
_input = click.option(
    "-i",
    "--input",
    "size",
    metavar="SIZE",
    multiple=True,
    callback=_one,
    help="Shape of the input, axes as the model has them (default: its own, else 1x3x224x224 for PyTorch).",
)
_pretrained = click.option("--pretrained", is_flag=True, help="Trained weights for torchvision:, timm: and keras:NAME; downloads them.")
_training = click.option("--training", is_flag=True, help="Fields under training-mode normalisation.")
_axes = click.option("--axes", metavar="AXES", help="Which axes of the input are space: letters for the last ones (hw) or indices (2,3).")
_layer = click.option("-l", "--layer", required=True, metavar="LAYER", help="A layer or op, as the table names it.")
_output = click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write to FILE instead of standard output.")


def _picture(what: str) -> Callable[[F], F]:
    """`_output` of a command that also draws."""
    said = f"Write to FILE instead of standard output; {what} if it ends in .png, .svg or .pdf."
    return click.option("-o", "--output", metavar="FILE", type=click.Path(), help=said)


def _format(*names: str) -> Callable[[F], F]:
    return click.option("-f", "--format", "form", type=click.Choice(names), help=f"Form of the result (default: {names[0]}).")


@click.group(cls=Isopter, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(isopter.__version__, message="isopter %(version)s")
def cli() -> None:
    """What a neural network can see."""


@cli.command()
@_options(_model, _input, _pretrained)
@click.option("-l", "--layer", metavar="PATTERN", help='Only layers and ops that match, such as "layer4.*".')
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Only the outputs of modules N names deep.")
@click.option("--all", "all_ops", is_flag=True, help="Also ops that see just what their input sees.")
@click.option("--strict", is_flag=True, help="Fail (status 4) where an op has no rule and is only bounded.")
@_options(_format("table", "json", "csv", "md"), _picture("how the field grows"), _training, _axes)
def table(**options: Any) -> int:
    """Size, stride and start of every layer's receptive field."""
    from isopter.cli.table import run

    return run(**options)


@cli.command()
@_options(_model, _layer, _input, _pretrained)
@click.option("--at", metavar="I,J", help="Index of the unit, such as 7,7 (default: the middle one).")
@click.option("--context", is_flag=True, help="Also what the unit reads through summaries of the image.")
@click.option("--image", metavar="FILE", type=click.Path(), help="Draw on this image, its middle fitted to the input; with -o unit.png.")
@_options(_format("text", "json"), _picture("a picture of it"), _training, _axes)
def unit(**options: Any) -> int:
    """What one unit of a layer sees, to the pixel."""
    from isopter.cli.unit import run

    return run(**options)


@cli.command()
@_options(_model, _layer, _input, _pretrained)
@click.option("--axis", type=click.IntRange(min=0), default=0, show_default=True, help="Which axis of space, from 0.")
@_options(_format("text", "json"), _picture("a picture of it"), _training, _axes)
def paths(**options: Any) -> int:
    """How many routes through the network give each field size."""
    from isopter.cli.paths import run

    return run(**options)


@cli.command()
@_options(_model, _input, _pretrained)
@click.option("--units", type=click.IntRange(min=1), default=64, show_default=True, help="How many units to probe.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which units, and which random weights.")
@click.option("--weights", type=click.Choice(["positive", "as-is"]), default="positive", show_default=True, help="Of the probed copy.")
@_options(_format("text", "json"), _output, _training, _axes)
def verify(**options: Any) -> int:
    """Hold the analysis against the real model: change pixels, see which units change. Status 1 if they disagree."""
    from isopter.cli.verify import run

    return run(**options)


@cli.command()
@_options(_model)
@click.option(
    "-l",
    "--layer",
    "layers",
    multiple=True,
    metavar="LAYER",
    help="A layer or a pattern; several are possible (default: the last bounded one).",
)
@_options(_input, _pretrained)
@click.option("--expected", is_flag=True, help="What the architecture starts with, computed without sampling.")
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="How many inputs to measure with (default: 64).")
@click.option(
    "--until",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="ERROR",
    help="Stop when the map's relative error is at most this, such as 0.05.",
)
@click.option("--images", type=click.Path(), metavar="DIR", help="Measure on these images (a folder or a file) instead of noise.")
@click.option("--weights", type=click.Path(), metavar="FILE", help="Weights to load first: .safetensors, or .pt read as weights only.")
@click.option(
    "--convention", type=click.Choice(["scale-free", "replknet"]), default="scale-free", show_default=True, help="Of published tables."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of noise, signs and the choice of images.")
@click.option("--device", metavar="DEVICE", help="Where to measure, such as cuda (default: where the model is).")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Precision to measure in (default: the model's).")
@_options(_format("text", "json"))
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="Write to FILE: .json, .npz, .png, else text; may be repeated.",
)
def erf(**options: Any) -> int:
    """How much of its field a layer uses: the effective receptive field, measured or expected."""
    from isopter.cli.erf import run

    return run(**options)


@cli.command()
@_options(_model, _input, _pretrained)
@click.option("-o", "--output", default="report.html", show_default=True, metavar="FILE", help="The file; - is standard output.")
@click.option("--image", type=click.Path(), metavar="FILE", help="A picture to draw fields on; its middle is cut to the input's shape.")
@click.option("--compare", multiple=True, metavar="MODEL2", help="Another model beside it, on the same input; may be repeated.")
@click.option("--erf", is_flag=True, help="Measure effective fields (default: expected ones, computed without running the model).")
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="How many inputs --erf takes (default: 16).")
@click.option("--images", type=click.Path(), metavar="DIR", help="Images that --erf measures on, instead of noise.")
@click.option("--verify", "units", type=click.IntRange(min=1), metavar="N", help="Hold the analysis against the model at N units.")
@click.option("--coco", type=click.Path(), metavar="FILE", help="Annotations whose object sizes are held against the fields.")
@click.option("--open", "show", is_flag=True, help="Open the report in a browser.")
@_options(_training, _axes)
def report(**options: Any) -> int:
    """All of it as one interactive HTML file that needs no network."""
    from isopter.cli.report import run

    return run(**options)
