"""RF301 and RF401: how much of the theoretical field counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isopter.design.findings import Finding, finding
from isopter.design.rules.size import plain
from isopter.design.subject import Subject, pixels
from isopter.erf.maps.field import EffectiveField
from isopter.errors import UsageError
from isopter.fields.exposure import mean_padding
from isopter.fields.field import Field

SMALL = 0.5
"""Below half of its theoretical size an effective field is remarked on."""

EXPOSED, WORTH_SAYING = 0.5, 0.1
"""From these mean shares of padding on a finding is a problem, and is made at all."""


@finding("RF301", "The effective field is much smaller than the theoretical one")
def effective(subject: Subject) -> Finding | None:
    """Most of a unit's gradient comes from a part of its field: the pixels at the rim are read, and hardly matter.

    The theoretical field grows with depth, the effective one with its square root, so their ratio falls. Training moves the effective
    field towards the task.

    **What to do.** Judge by the effective size whether a layer sees enough for its task. To widen it, larger kernels, dilation and early
    strides buy more than depth; skip connections make it smaller.

    **How it is computed.** The side of the smallest square about the field's centre that holds 95 % of the effective field's mass, over
    the (geometric mean of the) theoretical size. The field is the measured one where one was given (the last of the layers given, in
    the order of the model), else the expected one of the map the model ends in, which is exact for random weights (`Field.expected`); the
    message says which. There is no finding where the theory does not apply or the field is unbounded. A *note* below one half,
    else *good*.

    Source: Luo et al. 2016, Understanding the effective receptive field in deep convolutional neural networks.
    """
    found = nearest_effective(subject)
    if found is None:
        return None
    field, name = found.field, subject.name(found.op)
    ratio = found.side / math.prod(field.size) ** (1 / len(field.size))
    how = "measured" if field.how == "measured" else "expected of random weights"
    message = f"The effective field of {name} is {found.side:.4g} px (95 % of its mass, {how}), "
    message += f"{ratio:.0%} of the theoretical {pixels(field.size)}."
    if getattr(field, "clipped", False):
        message += " It was cut off at the image's border."
    numbers = {"side": found.side, "size": plain(field.size), "ratio": ratio, "sigma": [float(s) for s in field.sigma]}
    numbers |= {"measured": field.how == "measured", "statistic": field.statistic}
    return Finding("RF301", "note" if ratio < SMALL else "good", name, message, numbers)


@dataclass(frozen=True, eq=False)
class Effect:
    """The effective `field` of op `op`, and the `side` of the square that holds 95 % of it."""

    op: int
    field: EffectiveField
    side: float


def nearest_effective(subject: Subject) -> Effect | None:
    """The effective field nearest to the output that is known: of the last layer given, else as expected of the last map."""
    known = [(subject.analysis.find(name), field) for name, field in subject.effective.items()]
    for op, field in sorted(known, key=lambda pair: -pair[0]):
        side = float(field.side(0.95))
        if all(0 < n < math.inf for n in field.size) and math.isfinite(side):
            return Effect(op, field, side)
    for op in subject.widest_heads() if subject.theory else ():
        if subject.steps(op) is not None and all(n > 0 for n in subject.field(op).size):
            expected = expected_of(subject.field(op))
            return Effect(op, expected, float(expected.side(0.95))) if expected is not None else None
    return None


def expected_of(field: Field) -> EffectiveField | None:
    """The expected field of a layer's middle unit; None where theory has none, or no gradient gets through."""
    try:
        expected = field.expected()
    except UsageError:
        return None
    return expected if isinstance(expected, EffectiveField) and expected.map.sum() > 0 else None


@finding("RF401", "Much of the field is padding")
def padding(subject: Subject) -> Finding | None:
    """Units near the border, or all of them, look at padding instead of the image.

    Padding is a value like any other: a network learns from it where the border is, and units that see much of it have less to go by.

    **What to do.** Larger images, or smaller fields; reflecting padding, or none in the first layers. In tiled inference, discard the
    outputs whose share is high (see RF601).

    **How it is computed.** The share of a unit's field that is padding is the part of its box on the plane that lies outside the image; the
    finding is its mean over all units of the map the model ends in (of several, the one with the largest field). ResNet-50 at 224 pixels:
    72 % for the central unit, since its 427 x 427 field holds the whole image and more. A *problem* from 50 %, a *note* from 10 %, else
    nothing is said.

    Source: Alsallakh et al. 2021, Mind the Pad; the definition is isopter's own.
    """
    for op in subject.widest_heads():
        mean = mean_padding(subject.field(op))
        if mean is not None and mean >= WORTH_SAYING:
            name = subject.name(op)
            message = f"On average {mean:.0%} of the field of a unit of {name} lies in padding."
            return Finding("RF401", "problem" if mean >= EXPOSED else "note", name, message, {"mean": mean})
        if mean is not None:
            return None
    return None
