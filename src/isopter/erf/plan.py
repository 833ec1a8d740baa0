"""Planning: which unit of a layer is measured, and on how little of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import numpy.typing as npt

from isopter.erf import canvas
from isopter.erf.asks import generator
from isopter.erf.canvas import Place, Slack
from isopter.erf.frame import Frame
from isopter.erf.layers import Layer
from isopter.erf.live import Live, Theory
from isopter.erf.trial import Trial, tried
from isopter.errors import CaptureError, GraphError

LARGEST = 4e9
"""Bytes that a pass may keep for the sake of a field larger than the image, on a CPU; on a GPU half of what is free."""


@dataclass(frozen=True, eq=False)
class Course:
    """How one layer is measured: `place` is its unit's, the middle one's where `wander` lists, per axis, the units to draw from.

    `slack`: that of a canvas cut to the field, None for the whole image; `beyond`: the canvas may lie outside the image. `first`: the
    gradient by sample 0, if the canvas was tried on it.
    """

    layer: Layer
    place: Place
    wander: tuple[Sequence[int], ...] | None = None
    slack: Slack | None = None
    beyond: bool = False
    notes: tuple[str, ...] = ()
    first: npt.NDArray[np.floating] | None = None

    def at(self, number: int, seed: int) -> Place:
        """Where sample `number` is measured."""
        if self.wander is None:
            return self.place
        draw = generator(seed, number, f"unit of {self.layer.name}")
        unit = tuple(int(options[int(draw.integers(len(options)))]) for options in self.wander)
        field = self.layer.field
        found = canvas.cut(field, unit, beyond=self.beyond, slack=self.slack) if self.slack else canvas.whole(field, unit)
        return replace(found, box=canvas.reach(field, unit))


@dataclass(frozen=True, eq=False)
class Planner:
    """What all layers of a measurement share. `frame`: how the input lies; `noise`: it is noise, not data; `theory`: the fields for an
    input of another size."""

    live: Live
    frame: Frame
    unit: object
    noise: bool
    crop: bool
    theory: Theory

    def courses(self, layers: Sequence[Layer]) -> list[Course]:
        """One for each layer."""
        return [self.course(layer) for layer in layers]

    def course(self, layer: Layer) -> Course:
        """The layer's unit on the smallest canvas where its gradient is what it is in the whole image."""
        field = layer.field
        unit = canvas.middle(field) if self.unit in ("center", "interior") else field.checked(self.unit)  # type: ignore[arg-type]
        wanders = self.unit == "interior"
        why = ""
        if self.crop and canvas.can_be_cut(field):
            # Units that are drawn are not tried one by one: the canvas with the most room around it is right for all.
            for slack in get_args(Slack)[-1:] if wanders and not self.noise else get_args(Slack):
                place = canvas.cut(field, unit, beyond=self.noise, slack=slack)
                if place.canvas == canvas.image(field):
                    break
                trial = self._tried(layer, place)
                if not (why := trial.why):
                    wander = canvas.interior(field) if wanders and not self.noise else None
                    return Course(layer, place, wander, slack, self.noise, first=trial.first)
        reason = why.partition(". ")[0].rstrip(".")  # what an error advises besides is no matter here
        place, note = canvas.whole(field, unit), (f"Ran on the whole image: {reason}.",) if why else ()
        if wanders:
            return Course(layer, replace(place, box=canvas.reach(field, unit)), canvas.interior(field), notes=note)
        return Course(layer, place, notes=note)

    def _tried(self, layer: Layer, place: Place) -> Trial:
        """Whether the canvas will do."""
        kept, most = canvas.bytes_kept(layer.field, place.size), self._most()
        if self.noise and kept > max(most, canvas.bytes_kept(layer.field, layer.field.input_shape)):
            size = " x ".join(map(str, place.size))
            return Trial(f"all of the field is an input of {size}, which takes about {kept / 1e9:.0f} GB (give that input_size to insist)")
        moved = self._moved(layer, place)
        return Trial(moved) if moved else tried(self.live, layer, place, self.frame, noise=self.noise, draws=3 if moved is None else 1)

    def _moved(self, layer: Layer, place: Place) -> str | None:
        """What the theory of the canvas's size has to say, see `canvas.moved`; None where there is none.

        There is none if the model takes no other size, or if it takes positions that are not there: a recording without values does
        not notice those before its fields are worked out.
        """
        try:
            return canvas.moved(self.theory(layer, self.frame.sized(place.size)), layer.field, place)
        except (CaptureError, GraphError, LookupError, ArithmeticError):
            return None

    def _most(self) -> float:
        free = self.live.free()
        return LARGEST if free is None else 0.5 * free
