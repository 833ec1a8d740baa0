"""``isopter unit``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from isopter.cli import pictures
from isopter.cli.common import analysis_of, as_json, finite, numbers, write
from isopter.errors import UsageError
from isopter.report.lines import printable, shape_text

if TYPE_CHECKING:
    from isopter.fields.field import Field
    from isopter.fields.unit import Region, Support

MAX_DRAWN = (32, 76)
"""Rows and columns of the largest field that is drawn; more does not fit on a screen."""


def run(
    model: str,
    layer: str,
    size: str | None,
    at: str | None,
    context: bool,
    image: str | None,
    form: str | None,
    output: str | None,
    training: bool,
    axes: str | None,
    pretrained: bool,
) -> int:
    """Print what one unit sees, or write a picture of it."""
    picture = pictures.wanted(output, form)
    if image is not None and not picture:
        raise UsageError(f"--image is what a picture is drawn on: name that picture, -o unit.png ({', '.join(pictures.SUFFIXES)}).")
    field = analysis_of(model, size, axes, training, pretrained=pretrained)[layer]
    index = tuple(n // 2 for n in field.units) if at is None else numbers(at, "--at", "7,7") if at.strip() else ()
    if output is not None and picture:
        pictures.draw(output, lambda: field.plot(unit=index, image=image, context=context))
        return 0
    region, support = field.region(index, context=context), field.support(index, context=context)
    if form == "json":
        write(as_json(_data(field, region, support, context)), output)
    else:
        write("\n".join(_lines(field, region, support, context)), output)
    return 0


def _data(field: Field, region: Region, support: Support, context: bool) -> dict[str, Any]:
    small = support.mask.size <= 4096
    return {
        "layer": field.name,
        "unit": list(region.unit),
        "units": list(field.units),
        "input": list(field.input_shape),
        "lo": list(region.lo),
        "hi": list(region.hi),
        "unclipped": [[finite(v) for v in pair] for pair in region.unclipped] if region.unclipped is not None else None,
        "padding_share": finite(region.padding_share),
        "pixels": support.count,
        "density": finite(support.density),
        "origin": list(support.origin),
        "mask": support.mask.astype(int).tolist() if small else None,
        "context": context,
        "exactness": field.exactness,
    }


def _lines(field: Field, region: Region, support: Support, context: bool) -> Iterator[str]:
    which = f"unit ({', '.join(map(str, region.unit))}) of {shape_text(field.units)}" if field.units else "its only unit"
    yield f"{printable(field.name)}, {which}, in an image of {shape_text(field.input_shape)}"
    yield ""
    yield f"reads        {_box(zip(region.lo, region.hi, strict=True)) if support.count else 'nothing'}"
    if region.unclipped is not None:
        yield f"on the plane {_box(region.unclipped)}"
    if region.padding_share is not None:
        yield f"padding      {region.padding_share:.1%} of that box lies outside the image"
    yield f"pixels       {support.count:,}" + ("" if math.isnan(support.density) else f", {support.density:.1%} of their box")
    if field.exactness != "exact":
        yield f"exactness    {field.exactness.replace('_', '-')}: at most this"
    if field.context and not context:
        yield "context      also reads the image through a summary; --context includes it"
    drawing = _drawing(field, region, support, context)
    if drawing:
        yield ""
        yield from drawing


def _box(pairs: Any) -> str:
    """Half-open, as Python slices are: ``[3:10, 0:7]``."""
    return f"[{', '.join(f'{low}:{high}' for low, high in pairs)}]"


def _drawing(field: Field, region: Region, support: Support, context: bool) -> list[str]:
    """The set of pixels in characters; with the padding it reads, where the field is one of the plane."""
    if not support.count or support.mask.ndim > 2:
        return []
    mask, origin = support.mask, support.origin
    if not context and region.unclipped is not None and all(math.isfinite(v) for pair in region.unclipped for v in pair):
        try:
            whole = field.support(region.unit, clip=False)
            mask, origin = whole.mask, whole.origin
        except UsageError:  # no plane to draw on
            pass
    mask, start = (mask, origin) if mask.ndim == 2 else (mask[None], (0, *origin))
    if mask.shape[0] > MAX_DRAWN[0] or mask.shape[1] > MAX_DRAWN[1]:
        return []
    image = field.input_shape if len(field.input_shape) == 2 else (1, *field.input_shape)
    rows = [
        "".join(_mark(read, 0 <= y + start[0] < image[0] and 0 <= x + start[1] < image[1]) for x, read in enumerate(row))
        for y, row in enumerate(mask.tolist())
    ]
    drawn = "".join(rows)
    key = ["# read"] + (["+ padding"] if "+" in drawn else []) + ([". not read"] if "." in drawn else [])
    return [*rows, "", f"{', '.join(key)}; the first character is pixel {', '.join(map(str, origin))}"]


def _mark(read: bool, inside: bool) -> str:
    return "." if not read else "#" if inside else "+"
