"""RF501 and RF502: units of one layer that see differently."""

from __future__ import annotations

import math

from isopter.design.branches import misaligned
from isopter.design.findings import Finding, finding
from isopter.design.rules.size import plain
from isopter.design.subject import Subject, listed


@finding("RF501", "The field depends on the phase of the unit")
def phases(subject: Subject) -> Finding | None:
    """After upsampling, neighbouring units have fields of different sizes, in a pattern that repeats.

    Two neighbours may see quite different things, and comparing one unit's output with the next one's compares fields, too. It is a
    property of every network that upsamples, except by chance.

    **What to do.** Mostly nothing. When a size is quoted, quote all of them; when stitching or testing, use units of the same phase.

    **How it is computed.** `Field.sizes_by_phase` of every layer, exact on the plane; layers with more than one size are counted, and those
    of the largest head are listed. A U-Net of depth 4 with 2x2 transposed convolutions has sizes 188 and 204 over its 16 phases. A *note*.

    Source: isopter, docs/definitions.md.
    """
    varying = [i for i in subject.seen if any(len(set(sizes)) > 1 for sizes in subject.field(i).sizes_by_phase)]
    if not varying:
        return None
    about = next((i for i in subject.widest_heads() if i in set(varying)), varying[-1])
    by_phase = subject.field(about).sizes_by_phase
    sizes = sorted({n for axis in by_phase for n in plain(axis)}, key=lambda n: (isinstance(n, str), n))
    shown = listed([str(n) for n in sizes], most=6)
    count = max(map(len, by_phase))
    message = f"Fields of {subject.name(about)} are {shown} px, by the phase of the unit ({count} phases); {subject.name(varying[0])} is "
    message += f"the first of {len(varying)} layers where it matters." if len(varying) > 1 else "the only layer where it matters."
    numbers = {"first": subject.name(varying[0]), "layers": len(varying), "phases": count, "sizes": sizes}
    return Finding("RF501", "note", subject.name(about), message, numbers)


@finding("RF502", "Branches are misaligned")
def branches(subject: Subject) -> Finding | None:
    """An op joins branches that look at different places: their centres differ, or they do not even step alike.

    A shift is learned around, but costs: features of one place are added to those of another. Branches that step differently have no
    common field size, so fields hold for this input size only. Causal networks shift on purpose.

    **What to do.** Give a strided shortcut the same centre as the path beside it: pad odd kernels by (k - 1) / 2, beware of even kernels
    and of 2x2 pooling beside a strided 1x1 convolution.

    **How it is computed.** At every op that reads several others, the exact extents of what it reads from each. Unequal strides are
    reported as such. Of equal strides, the centre of each branch's field minus that of the first branch, as the mean over the phases of a
    period, since upsampling moves the phases apart without moving their mean; any difference along any axis is reported. A *problem*
    where strides differ, else a *note*.

    Source: Araujo, Norris & Sim 2019, Computing Receptive Fields of Convolutional Neural Networks (alignment of paths).
    """
    met = misaligned(subject)
    if not met:
        return None
    apart = [m for m in met if math.isnan(m.shift)]
    shifted = [m for m in met if not math.isnan(m.shift)]
    parts = []
    if apart:
        worst = apart[0]
        parts.append(
            f"{listed([m.op for m in apart])} joins branches that do not step alike: {worst.strides[0]} px ({worst.branches[0]}) and "
            f"{worst.strides[1]} px ({worst.branches[1]}) per step."
        )
    if shifted:
        worst = max(shifted, key=lambda m: m.shift)
        parts.append(
            f"{len(shifted)} op{'s' * (len(shifted) != 1)} join{'s' * (len(shifted) == 1)} branches whose centres differ, the most by "
            f"{worst.shift:g} px: {worst.op} ({worst.branches[0]} and {worst.branches[1]})."
        )
        about = worst.op
    numbers = {
        "strides": {m.op: [str(s) for s in m.strides] for m in apart},
        "shifts": {m.op: m.shift for m in shifted},
    }
    return Finding("RF502", "problem" if apart else "note", apart[0].op if apart else about, " ".join(parts), numbers)
