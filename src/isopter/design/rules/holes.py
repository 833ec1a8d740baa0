"""RF201: fields with holes."""

from __future__ import annotations

import math

from isopter.design.findings import Finding, finding
from isopter.design.solid import solid
from isopter.design.subject import Subject, listed


@finding("RF201", "The field has holes")
def holes(subject: Subject) -> Finding | None:
    """A unit reads only some of the pixels inside its field's box: dilated windows leave a grid of pixels that it never sees.

    Neighbouring units of a gridded layer read disjoint pixels, so fine structure is lost and comes back as checkerboard patterns.

    **What to do.** Let the dilation rates grow from 1, as in 1, 2, 3 or 1, 2, 5, instead of repeating one rate; or put undilated
    convolutions before or after. Do not trust a rule of thumb for rates; look at the density.

    **How it is computed.** Density = pixels read / pixels of their bounding box, exactly, of a layer's middle unit on the plane. Layers
    whose fields are filled by construction are not pulled back: those of windows whose taps' fields touch, and of merges of which one
    branch holds the others. Of layers without a plane, or that regroup space, only the maps the model ends in are looked at, inside the
    image; layers that read a whole axis are left out, and reads through a summary are not counted. Layers that see just what their input
    sees are not named again. Three convolutions of dilation 2 have density 49/169 = 29 %. A *problem* where a map the model ends in
    has holes, else a *note*.

    Source: Yu & Koltun 2015; Wang et al. 2018, Understanding Convolution for Semantic Segmentation (gridding).
    """
    found = densities(subject)
    heads = {subject.name(i) for i in subject.heads}
    gaps = {subject.name(i): d for i, d in found.items() if d < 1}
    if not gaps:
        return None
    lowest = min(gaps, key=lambda name: gaps[name])
    ending = [subject.name(i) for i in subject.heads if _source(subject, i) in found and found[_source(subject, i)] < 1]
    message = f"{listed(list(gaps))} read{'s' * (len(gaps) == 1)} a field with holes"
    message += f": {gaps[lowest]:.1%} of the pixels in the box of {lowest}'s field are read"
    message += f"; the holes are still there in {listed(ending)}." if ending and heads != {lowest} else "."
    numbers = {"layers": gaps, "lowest": lowest, "density": gaps[lowest], "outputs": ending}
    return Finding("RF201", "problem" if ending else "note", lowest, message, numbers)


def densities(subject: Subject) -> dict[int, float]:
    """Density by op, of those that change what is seen; 1.0 where it is shown to be. Empty fields are left out."""
    shown = solid(subject)
    found: dict[int, float] = {}
    heads = {_source(subject, i) for i in subject.heads}
    for i in subject.seen:
        if _source(subject, i) != i:
            continue
        if shown[i]:
            found[i] = 1.0
        elif (subject.steps(i) is not None and subject.walks.plane_is_pullable(i)) or i in heads:
            density = subject.field(i).density
            if not math.isnan(density):
                found[i] = density
    return found


def _source(subject: Subject, op: int) -> int:
    """The op itself, or the first one above it that sees the same: pointwise ops of one input change nothing."""
    while op != subject.origin:
        edges = list(subject.plan.incoming(op, False))
        if len(edges) != 1 or not edges[0].plain or edges[0].source == subject.origin:
            return op
        op = edges[0].source
    return op
