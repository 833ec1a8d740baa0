"""``isopter report``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.cli.common import axes_of, check_output, input_of, loaded_model, plain_warnings, user_code, write
from isopter.errors import UsageError

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.erf.maps.field import EffectiveField
    from isopter.verification import Verification


SAMPLES = 16
"""So many inputs --erf takes, unless --samples says otherwise."""


def run(
    model: str,
    size: str | None,
    output: str,
    image: str | None,
    compare: Sequence[str],
    erf: bool,
    samples: int | None,
    images: str | None,
    units: int | None,
    coco: str | None,
    show: bool,
    training: bool,
    axes: str | None,
    pretrained: bool,
) -> int:
    """Write the report; 1 where the model was verified and found wrong."""
    if images is not None and not erf:
        raise UsageError("--images is what --erf measures on: add --erf. A picture to draw fields on is --image FILE.")
    if samples is not None and not erf:
        raise UsageError("--samples is how many inputs --erf measures on: add --erf.")
    if show and output == "-":
        raise UsageError("--open shows a file, and -o - writes to standard output. Name a file.")
    check_output(output)
    from isopter.report.page.give import page

    objects = _objects(coco)
    made = [_Made(spec, size, training, axes, pretrained) for spec in (model, *compare)]
    unused = [name for name, value in (("-i", size), ("--axes", axes), ("--training", training)) if value]
    if unused and made[0].loaded is made[0].analysis:
        raise UsageError(f"{model} is a saved analysis, made for one input: {', '.join(unused)} cannot change it. Name the model itself.")
    text = page(
        made[0].analysis,
        image=image,
        compare=[other.analysis for other in made[1:]],
        effective=[one.measured(samples or SAMPLES, images) if erf else None for one in made],
        verification=[one.verified(units) for one in made],
        objects=_fitted(objects, made[0].analysis),
    )
    write(text, output)
    if output != "-":
        print(f"{output} ({len(text.encode()) / 1000:,.0f} kB)", file=sys.stderr)
    if show:
        import webbrowser

        webbrowser.open(Path(output).resolve().as_uri())
    return 0 if all(one.proof is None or one.proof.ok for one in made) else 1


class _Made:
    """One model of the report: loaded once, analysed, and run where that is asked for."""

    def __init__(self, spec: str, size: str | None, training: bool, axes: str | None, pretrained: bool) -> None:
        from isopter.analysis import Analysis
        from isopter.entry import analyze

        self.spec, self.training, self.axes, self.proof = spec, training, axes, None
        self.loaded = loaded_model(spec, pretrained)
        self.given: dict[str, Any] = {}
        if isinstance(self.loaded, Analysis):
            self.analysis: Analysis = self.loaded
            return
        self.given = input_of(size, spec, self.loaded)
        with user_code():
            self.analysis = analyze(self.loaded, **self.given, axes=axes_of(axes), training=training)

    proof: Verification | None

    def measured(self, samples: int, images: str | None) -> Mapping[str, EffectiveField]:
        """The effective fields of the layers that a report shows, measured."""
        from isopter.erf.measure import effective
        from isopter.report.page.fields import worth_measuring

        self._runs("--erf")
        if "input_size" not in self.given:
            raise UsageError(f"--erf measures models of one input tensor. Give the shape of that of {self.spec}: -i 1x3x224x224.")
        layers = worth_measuring(self.analysis)
        if not layers:
            raise UsageError(f"--erf: no layer of {self.spec} has a map of units to measure.")
        with user_code(), plain_warnings():
            return effective(
                self.loaded, layers, self.given["input_size"], data=images, samples=samples, training=self.training, progress="auto"
            )

    def verified(self, units: int | None) -> Verification | None:
        """The proof on the model, if it is asked for."""
        if units is None:
            return None
        from isopter.verification import verify

        self._runs("--verify")
        with user_code():
            self.proof = verify(
                self.loaded, **self.given, axes=axes_of(self.axes), units=units, training=self.training, progress=sys.stderr.isatty()
            )
        return self.proof

    def _runs(self, option: str) -> None:
        from isopter.capture.dispatch import framework, is_file
        from isopter.erf.live import can_be_measured

        runs = framework(self.loaded) is not None and not is_file(self.loaded, ".pt2")
        if not (can_be_measured(self.loaded) if option == "--erf" else runs):
            raise UsageError(
                f"{option} runs the model itself, and {self.spec!r} cannot be run. Expected file.py:Net or pkg.module:factory."
            )


def _objects(coco: str | None) -> Any:
    if coco is None:
        return None
    from isopter.design.objects import from_coco

    return from_coco(coco)


def _fitted(objects: Any, analysis: Analysis) -> Any:
    """Boxes as they are in images resized to the model's input, where the annotations say how large their images are."""
    if objects is None:
        return None
    size = analysis._field(analysis.origin, analysis.origin).input_shape
    try:
        fitted = objects.resized(size)
    except UsageError as error:
        print(f"isopter: warning: objects keep the sizes that they have in the file. {error}", file=sys.stderr)
        return objects
    print(f"isopter: objects are scaled with their images to the input, {' x '.join(map(str, size))}", file=sys.stderr)
    return fitted
