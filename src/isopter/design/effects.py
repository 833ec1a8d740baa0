"""The one check of effective fields that a user gives beside an analysis: they must be of its layers, in its image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from isopter.erf.expected import NotExpected
from isopter.erf.maps.field import EffectiveField
from isopter.errors import UsageError

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.design.subject import Effects

GIVE = "Give what isopter.effective returned, or a dict of effective fields by layer name"


def checked(analysis: Analysis, effective: Any, origin: int | None = None) -> Effects:
    """`effective`, a mapping of fields by layer name or None, as a mapping of fields that are of `analysis`.

    `origin`: the op index of the input that they are over; None is for each layer the first one it depends on. Raises LayerNotFound
    for a name that is none, and UsageError for what is no field, and for a field of another layer, image or unit than the model's.
    """
    if effective is None:
        return {}
    if not isinstance(effective, Mapping):
        raise UsageError(f"effective={type(effective).__name__} must be a mapping. {GIVE}.")
    for name, field in effective.items():
        _check(analysis, name, field, origin)
    return dict(effective)


def _check(analysis: Analysis, name: Any, field: Any, origin: int | None) -> None:
    where = f"effective[{name!r}]"
    if isinstance(field, NotExpected):
        raise UsageError(f"{where} holds no field: {field} Leave it out, or measure it with isopter.effective.")
    if not isinstance(field, EffectiveField):
        raise UsageError(f"{where} is no effective field, but a {type(field).__name__}. {GIVE}.")
    op = analysis.find(name)
    if field.layer in analysis and analysis.find(field.layer) != op:
        raise UsageError(f"{where} is the field of another layer, {field.layer!r}. Give every field under the name of its own layer.")
    over = analysis._origin_of(op) if origin is None else origin
    if not analysis._walk(over).plan.depends(op):
        raise UsageError(f"{where}: that layer does not depend on the input {analysis.ops[over]!r}, which this is about. Leave it out.")
    own = analysis._field(op, over)
    if tuple(field.image) != own.input_shape:
        raise UsageError(
            f"{where} was found in an image of {_by(field.image)} pixels, and {analysis.name} was analysed at {_by(own.input_shape)}. "
            "Find the field and the analysis at one input size."
        )
    if len(field.unit) != len(own.units) or not all(0 <= i < n for i, n in zip(field.unit, own.units, strict=True)):
        raise UsageError(
            f"{where} is of unit {tuple(field.unit)}, and this layer has {_by(own.units)} units, numbered from 0. "
            f"It is of another model than {analysis.name}: find it anew."
        )


def _by(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) or "no axes of"
