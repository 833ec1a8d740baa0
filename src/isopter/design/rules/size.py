"""RF101: fields larger than the image."""

from __future__ import annotations

import math
from fractions import Fraction

from isopter.design.findings import Finding, finding
from isopter.design.subject import Subject, listed, pixels
from isopter.fields.paths import growth_of

CONVOLUTIONS = ("conv", "conv_transpose")


@finding("RF101", "The field is larger than the input")
def larger_than_input(subject: Subject) -> Finding | None:
    """From some layer on a unit's field is larger than the image: what it gains is padding.

    Such a layer still computes, but it relates nothing that the layers before it could not relate. A convolution is *unproductive* at
    this input size if the **smallest** field over all paths into it covers the image already; the first such is the *border layer*. A
    residual network has short paths everywhere, so it may have no border layer though its largest fields are far beyond the image.

    **What to do.** Train on larger images, or take a stride away early, or drop the unproductive layers: their removal costs little
    accuracy. Without a border layer there is nothing to repair.

    **How it is computed.** Layer by layer, smallest(l) = min over the inputs j of (smallest(j) + reach(l, j) x stride(j)), per axis, where
    reach is last tap - first tap. A convolution with a kernel above 1 is unproductive if min over j of smallest(j) is at least the
    image's size along every axis on which its kernel is above 1. Example, VGG-11 at 32 pixels: the field into its sixth convolution is
    46 pixels, so the last three are unproductive. A *problem* where there is a border layer, else a *note*.

    Source: Richter et al. 2021, (Input) Size Matters for CNN Classifiers; the smallest field where there are several paths.
    """
    first = exceeding(subject)
    if first is None:
        return None
    unproductive = unproductive_layers(subject)
    later = [i for i in subject.seen if i > first and any(widens(subject, i))]
    size = subject.field(first).size
    message = f"From {subject.name(first)} on ({pixels(size)}) fields are larger than the image ({pixels(subject.image)})"
    message += f"; {len(later)} more layer{'s' * (len(later) != 1)} with a window follow{'s' * (len(later) == 1)}. "
    if unproductive:
        names = [subject.name(i) for i in unproductive]
        message += f"Border layer: {names[0]}; every path into it covers the image already, so "
        message += f"{listed(names)} {'are' if len(names) > 1 else 'is'} unproductive at this input size."
    else:
        message += "No layer is unproductive: each also gets values by a path whose field is smaller than the image."
    numbers = {
        "first": subject.name(first),
        "size": plain(size),
        "image": list(subject.image),
        "later": len(later),
        "border": subject.name(unproductive[0]) if unproductive else None,
        "unproductive": [subject.name(i) for i in unproductive],
    }
    about = unproductive[0] if unproductive else first
    return Finding("RF101", "problem" if unproductive else "note", subject.name(about), message, numbers)


def exceeding(subject: Subject) -> int | None:
    """The first op whose field is bounded and larger than the image along an axis."""
    for i in subject.seen if 0 not in subject.image else ():
        if subject.field(i).basis == "plane":
            pairs = zip(subject.field(i).size, subject.image, strict=True)
            if any(n < size < math.inf for size, n in pairs):
                return i
    return None


def unproductive_layers(subject: Subject) -> list[int]:
    """The convolutions all paths into which cover the image, in order: the first is the border layer."""
    smallest = [smallest_fields(subject, axis) for axis in subject.axes]
    found = []
    for i in subject.seen:
        if subject.ops[i].kind in CONVOLUTIONS:
            sources = [edge.source for edge in subject.plan.incoming(i, False)]
            wide = [axis for axis, does in enumerate(widens(subject, i)) if does]
            if wide and all(min(smallest[axis][s] for s in sources) >= subject.image[axis] for axis in wide):
                found.append(i)
    return found


def smallest_fields(subject: Subject, axis: int) -> list[float | Fraction]:
    """For every op the size of the smallest field over its paths, in pixels; inf where each path reads the whole axis, or there is none."""
    found: list[float | Fraction] = [math.inf] * len(subject.ops)
    found[subject.origin] = Fraction(1)
    for target in range(subject.origin + 1, len(found)):
        for edge in subject.plan.incoming(target, False):
            grown = growth_of(subject.walks, edge, axis)
            if grown is not None:
                found[target] = min(found[target], found[edge.source] + grown)
    return found


def widens(subject: Subject, op: int) -> list[bool]:
    """Per axis, whether the op reads more than one position of a map: a window or an interpolation, not a whole axis."""
    edges = list(subject.plan.incoming(op, False))
    return [any((growth_of(subject.walks, edge, axis) or 0) > 0 for edge in edges) for axis in subject.axes]


def plain(values: tuple[int | float, ...]) -> list[int | str]:
    """Sizes for JSON: whole numbers, and "inf"."""
    return ["inf" if math.isinf(v) else int(v) for v in values]
