"""The report as a Jupyter widget: the same page in the same sandbox, and what is selected in it as a trait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isopter.errors import LayerNotFound, MissingExtra, UsageError
from isopter.report.page.document import asset
from isopter.report.page.give import page, together

try:
    import anywidget
    import traitlets
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "anywidget", "widget", "The widget") from None

if TYPE_CHECKING:
    from isopter.analysis import Analysis


class Widget(anywidget.AnyWidget):
    """See `Analysis.widget`."""

    _esm = asset("widget.js")
    html = traitlets.Unicode(read_only=True).tag(sync=True)
    height = traitlets.Int(900, min=1).tag(sync=True)
    selection = traitlets.TraitType[dict[str, Any], Any]({}).tag(sync=True)  # `_checked` says what is wrong with a value, None included

    def __init__(self, analysis: Analysis, height: int = 900, **options: Any) -> None:
        self._analyses = together(analysis, options.get("compare"))
        text = page(analysis, **options)
        super().__init__(height=height)
        self.set_trait("html", text)

    @traitlets.validate("selection")
    def _checked(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        return selection(self._analyses, proposal["value"])


def selection(analyses: Sequence[Analysis], given: Any) -> dict[str, Any]:
    """What `given` names, as the page has it: the name of an op, one index per unit axis, and which of several models, if not the first.

    `given`: ``layer``, a name of a layer or an op; ``unit`` (default: the middle one); ``model``, an index (default 0); {} is
    no selection. Raises UsageError where there is no such unit.
    """
    if not isinstance(given, Mapping) or (given and "layer" not in given) or set(given) - {"layer", "unit", "model"}:
        raise UsageError(f'selection={given!r}: expected {{"layer": name, "unit": [index, ...]}}.')
    if not given:
        return {}
    model = given.get("model", 0)
    if type(model) is not int or not 0 <= model < len(analyses):
        raise UsageError(f"selection: model {model!r} is none of the {len(analyses)} in this report, which are numbered from 0.")
    analysis = analyses[model]
    if not isinstance(given["layer"], str):
        raise LayerNotFound(given["layer"], analysis.ops)
    index, origin = analysis.find(given["layer"]), analysis.origin
    if not analysis._walk(origin).plan.depends(index):
        raise UsageError(f"selection: {given['layer']} does not depend on the input {analysis.ops[origin]}, which the report is about.")
    field = analysis._field(index, origin)
    unit = given.get("unit", [n // 2 for n in field.units])
    if not isinstance(unit, Iterable):
        raise UsageError(f"selection: unit {unit!r} is no list. Expected {len(field.units)} whole numbers.")
    unit = field.checked(tuple(unit))
    return {"layer": analysis.ops[index], "unit": list(unit)} | ({"model": model} if model else {})
