"""RF601: tiles that give the same output as the whole image."""

from __future__ import annotations

from isopter.design.findings import Finding, finding
from isopter.design.subject import Subject, listed, pixels
from isopter.design.tiles import Halo, halo_of, joined


@finding("RF601", "The halo for exact tiles")
def tiles(subject: Subject) -> Finding | None:
    """How far tiles of an image must overlap for their outputs, put together, to equal the output of the whole image.

    With less, seams appear where tiles meet; with more, work is wasted.

    **What to do.** Start tiles at multiples of the step, give each the halo before and after its core (as far as the image goes), and keep
    the core. Where there is no exact halo, use the largest overlap you can afford, and measure the seams; or replace what hinders:
    norms over space by batch norm, `align_corners=True` by False, squeeze-excite gates by none.

    **How it is computed.** The step T is the period of the output's units in pixels, which every stride on the way divides. before = max
    over the units of a core of (start of the core - first pixel read), rounded up to T; after likewise. A U-Net of depth 4 reaches 94 and
    needs 96, with bilinear upsampling 110 and 112. There is no exact halo where fields are unbounded, bounded only, or without a plane;
    where a layer reads through a summary of the whole image; where adaptive pooling, `align_corners` or interpolation to a size of its own
    makes the grid of units depend on the image's size; and where the image's ends are joined (rolled, circular padding). Where a layer
    crops before another one pads, the halo grows by what is cropped. Weights that depend on position are not looked at. Of several
    maps that the model ends in, one halo serves all. *Good* if there is one that is smaller than the image, else a *note*.

    Source: isopter, from the exact regions; the expected field outside a smaller halo tells the error (Luo et al. 2016).
    """
    if not subject.heads:
        return None
    found = joined([halo_of(subject, op) for op in subject.heads])
    if not found.exists:
        message = f"There is no exact halo for tiles of {found.layer}: {found.why}."
        return Finding("RF601", "note", found.layer, message, found.to_dict())
    names = listed([subject.name(op) for op in subject.heads])
    message = f"Tiles that start at multiples of {pixels(found.step)} give exactly the output of the whole image ({names}) with a halo of "
    message += f"{sides(found)} (reach {sides(found, rounded=False)})."
    image = subject.field(subject.heads[0]).input_shape
    if all(before + after >= n for before, after, n in zip(found.before, found.after, image, strict=True)):
        return Finding("RF601", "note", found.layer, f"{message} That is as much as the whole image.", found.to_dict())
    return Finding("RF601", "good", found.layer, message, found.to_dict())


def sides(found: Halo, rounded: bool = True) -> str:
    """``224 px before and 192 px after``."""
    before, after = (found.before, found.after) if rounded else (found.reach_before, found.reach_after)
    return f"{pixels(before)} on either side" if before == after else f"{pixels(before)} before and {pixels(after)} after"
