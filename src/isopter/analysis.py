"""`analyze`: a model in, an `Analysis` out; from it, the Field of every layer."""

from __future__ import annotations

import fnmatch
import json
import operator
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.errors import LayerNotFound, UnsupportedOps, UsageError
from isopter.fields.field import Field
from isopter.fields.plan import make_plan
from isopter.fields.walks import Walks
from isopter.graph import Graph, Issue, check

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from isopter.design.cost import Cost
    from isopter.design.coverage import Coverage
    from isopter.design.findings import Finding
    from isopter.design.objects import Objects
    from isopter.design.subject import Effects
    from isopter.design.tiles import Halo
    from isopter.report.page.give import Frame
    from isopter.report.page.widget import Widget
    from isopter.verification import Verification

SCHEMA_VERSION = 1


class Analysis:
    """The fields of every op of one model at one input size. Printing it shows the table; index it by layer name.

    Plain numpy and Python inside: it pickles, and holds no model.
    """

    def __init__(self, graph: Graph, axes: tuple[int, ...] | None = None, name: str = "model") -> None:
        self.graph = graph
        self.axes = axes
        self.name = name
        self._fields: dict[tuple[str, int], Field] = {}
        self._walks: dict[int, Walks] = {}
        self._modules: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return {"graph": self.graph, "axes": self.axes, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    # ---- names -----------------------------------------------------------------------------------------------------

    @cached_property
    def ops(self) -> tuple[str, ...]:
        """Every op's name, in the order the model runs them; each is a key."""
        return tuple(op.name for op in self.graph.ops)

    @property
    def layers(self) -> tuple[str, ...]:
        """Every module call's path, in the order they finish; each is a key for that module's output."""
        return tuple(self.graph.layers)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs' names; each is a key."""
        return tuple(self.ops[i] for i in self.graph.inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the ops the model returns; each is a key."""
        return tuple(self.ops[i] for i in self.graph.outputs)

    @property
    def issues(self) -> tuple[Issue, ...]:
        """What keeps the result from being exact: ops without a rule, positions chosen by values, a control path taken."""
        return self.graph.issues

    @property
    def exact(self) -> bool:
        """Whether every field of the outputs is exact."""
        return all(self._field(i, self._origin_of(i)).exactness == "exact" for i in self.graph.outputs)

    @cached_property
    def _index(self) -> dict[str, int]:
        index = {op.name: i for i, op in enumerate(self.graph.ops)}
        return index | dict(self.graph.layers)

    def find(self, key: object) -> int:
        """The op index of a layer name, an op name, a module object or an index. Raises LayerNotFound with near names."""
        if isinstance(key, str):
            if key in self._index:
                return self._index[key]
            matches = self.match(key)
            if len(matches) == 1:
                return self._index[matches[0]]
            if matches:
                raise UsageError(
                    f"{key!r} matches {len(matches)} layers ({', '.join(matches[:4])}, ...). Use .match(pattern) for all of them."
                )
        try:
            path = self._modules.get(key)
        except TypeError:  # what cannot be weakly referenced is no module
            path = None
        if path is not None:
            return self.find(path)
        raise LayerNotFound(key, self._index)

    def match(self, pattern: str) -> tuple[str, ...]:
        """All layer and op names that a glob such as ``layer4.*`` matches, in order."""
        return tuple(name for name in self._index if fnmatch.fnmatchcase(name, pattern)) if any(c in pattern for c in "*?[") else ()

    # ---- fields ----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: object) -> Field:
        index = self.find(key)
        return self._field(index, self._origin_of(index), key if isinstance(key, str) and key in self._index else None)

    def __contains__(self, key: object) -> bool:
        try:
            self.find(key)
        except UsageError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.ops)

    def __len__(self) -> int:
        return len(self.graph.ops)

    def field(self, key: object, *, input: str | None = None) -> Field:
        """The Field of a layer over one of the model's inputs (by name; default: the first one the layer depends on)."""
        index = self.find(key)
        if input is None:
            return self._field(index, self._origin_of(index))
        if input not in self.graph.input_names and input not in self.inputs:
            raise LayerNotFound(input, self.inputs)
        origin = self.graph.input_names.get(input, self._index.get(input, 0))
        if not self._walk(origin).plan.depends(index):
            raise UsageError(f"{self.ops[index]} does not depend on the input {input!r}. Inputs: {', '.join(self.inputs)}.")
        return self._field(index, origin)

    def _field(self, index: int, origin: int, name: str | None = None) -> Field:
        name = name or self.ops[index]
        return self._fields.setdefault((name, origin), Field(self._walk(origin), index, name))

    def _walk(self, origin: int) -> Walks:
        if origin not in self._walks:
            self._walks[origin] = Walks(make_plan(self.graph, origin, self._axes(origin)))
        return self._walks[origin]

    def _axes(self, origin: int) -> tuple[int, ...] | None:
        if self.axes is None or origin == self._inputs[0]:
            return self.axes
        return self.axes if max(self.axes) < len(self.graph.ops[origin].shape) else None

    @cached_property
    def _inputs(self) -> tuple[int, ...]:
        return self.graph.inputs

    def _origin_of(self, index: int) -> int:
        inputs = self._inputs
        found = next((o for o in inputs if self._walk(o).plan.depends(index)), None) if len(inputs) > 1 else inputs[0]
        return inputs[0] if found is None else found

    # ---- what to do about it -------------------------------------------------------------------------------------------

    def findings(
        self, effective: Effects | None = None, verification: Verification | None = None, *, input: str | None = None, expected: bool = True
    ) -> tuple[Finding, ...]:
        """What a reader of the numbers should notice, one `Finding` per rule that has something to say; docs/findings.md explains each.

        `effective`: measured fields by layer name, as `isopter.effective` returns them; without, the expected field of the map the
        model ends in is used, unless ``expected=False``. `verification`: what `isopter.verify` returned. `input`: over which of the
        model's inputs, by name. Raises LayerNotFound for names that are none.
        """
        from isopter.design.findings import findings

        return findings(self, effective, verification, input=input, expected=expected)

    def coverage(
        self, objects: Objects, layers: Sequence[str] | str | None = None, effective: Effects | None = None, *, input: str | None = None
    ) -> Coverage:
        """Which share of annotated objects fits inside what each layer sees, theoretically and effectively.

        `objects`: see `isopter.objects`, in pixels of the model's input. `layers`: names or globs, whose expected fields are computed
        too; default all maps that see something else than their inputs, with the expected field of the last only. `effective`: measured
        fields by layer name, which take the place of expected ones. Raises UsageError unless the input is an image.
        """
        from isopter.design.coverage import coverage

        return coverage(self, objects, layers, effective, input=input)

    def cost(self, key: object = None) -> Cost:
        """Multiply-accumulates and weights, of the model or of one op; biases, norms and pointwise work are not counted. See `Cost`."""
        from isopter.design.cost import cost, total

        return total(self) if key is None else cost(self.graph, self.graph.ops[self.find(key)])

    def halo(self, key: object, *, input: str | None = None) -> Halo:
        """How far tiles must overlap for their outputs of this layer, put together, to equal that of the whole image. See `Halo`."""
        from isopter.design.tiles import halo

        return halo(self, key, input=input)

    def what_if(
        self, edits: Mapping[str, Mapping[str, int | Sequence[int]]] | None = None, input_size: Sequence[int] | None = None
    ) -> Analysis:
        """The same network with other windows, or at another input size; exact, and the model is not needed.

        `edits`: by layer or op name some of ``dict(kernel=, stride=, dilation=, padding=)``, whole numbers or one per space axis.
        `input_size`: the shape of the (first) input. Raises UsageError where branches no longer match, or a shape is not known. See
        `isopter.design.what_if`.
        """
        from isopter.design.what_if import what_if

        return what_if(self, edits, input_size)

    # ---- out ---------------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """One dict per op: name, kind, shape, size, stride, start, basis, context, exactness. For tables."""
        from isopter.report.rows import rows

        return rows(self)

    def __repr__(self) -> str:
        from isopter.report.table import render

        return render(self)

    def _repr_html_(self) -> str:
        from isopter.report.html import table

        return table(self)

    def plot(self, ax: Axes | None = None, effective: Any = None, layers: str | Sequence[str] | None = None) -> Axes:
        """How the field grows with depth, on a logarithmic axis, with the input's size; returns the Axes and shows nothing.

        The line follows the widest inputs from the last output back; ops of other branches are separate, fainter points. `effective`:
        what `isopter.effective` returns, or a dict from layer names to fields of `Field.expected`; their sides of 95 % are drawn
        too. `layers`: only layers and ops that this pattern, or one of these, matches. Raises LayerNotFound where one matches nothing,
        MissingExtra without matplotlib.
        """
        from isopter.report.figures.growth import plot

        return plot(self, ax, effective, layers)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain Python for JSON: the table, and the graph from which `load` rebuilds the analysis."""
        from isopter.report.serial import graph_to_dict

        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "axes": list(self.axes) if self.axes is not None else None,
            "layers": self.rows(),
            "issues": [{"where": i.where, "what": i.what, "uses": i.uses} for i in self.issues],
            "graph": graph_to_dict(self.graph),
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """`to_dict` as JSON text; also written to `path` if one is given."""
        text = json.dumps(self.to_dict(), allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_pandas(self) -> pd.DataFrame:
        """The table as a DataFrame, one row per op; one column per axis for size, stride and start."""
        from isopter.report.frames import to_pandas

        return to_pandas(self)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as CSV text; also written to `path` if one is given."""
        from isopter.report.frames import to_csv

        text = to_csv(self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def save_html(self, path: str | Path, **options: Any) -> Path:
        """Write the interactive report: one HTML file that needs no network, in which every unit of every layer can be asked about.

        Options: `image`, a picture to draw fields on (a file, an array (height, width[, 3]) or a PIL image; its middle is cut to the
        input's shape); `compare`, another analysis or several; `effective`, what `isopter.effective` measured, as a mapping by layer
        name (default: expected fields of some layers; False: none); `verification`, what `isopter.verify` found; `objects`, sizes of
        annotated objects (`isopter.objects.from_coco`); `title`. With `compare`, `effective` and `verification` may be sequences with an
        entry per model. Same input, same bytes. Raises UsageError for wrong options and where the file cannot be written, and MissingExtra
        for an image without Pillow. Returns the path.
        """
        from isopter.report.page.give import page, save

        return save(page(self, **options), path)

    def show(self, height: int = 900, **options: Any) -> Frame:
        """The interactive report in a notebook, in a sandboxed frame of `height` CSS pixels. Options as for `save_html`."""
        from isopter.report.page.give import Frame, page

        return Frame(page(self, **options), height)

    def widget(self, height: int = 900, **options: Any) -> Widget:
        """The interactive report as a Jupyter widget of `height` CSS pixels, whose `selection` follows the page and steers it.

        ``widget.selection`` is ``{"layer": name of an op, "unit": [index per unit axis]}``; in a comparison also ``"model"``, an index,
        where it is not the first. Set it to select (``unit`` may be left out: the middle one), or follow it with
        ``widget.observe(function, "selection")``. Setting it raises UsageError for a layer or a unit that is not there. Options as for
        `save_html`. Raises MissingExtra without anywidget.
        """
        from isopter.report.page.widget import Widget

        return Widget(self, height, **options)


def load(path: str | Path) -> Analysis:
    """Read an analysis written by `Analysis.to_json`. Every question can be asked of it; the model is not needed."""
    from isopter.report.serial import graph_from_dict

    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        version = data["schema_version"]
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(
            f"{path} is no analysis written by isopter ({type(error).__name__}: {error}). Write one with analysis.to_json(path)."
        ) from error
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema_version {version}; this isopter reads {SCHEMA_VERSION}. Write it again with this version.")
    try:
        graph, axes, name = check(graph_from_dict(data["graph"])), data["axes"], data["name"]
        if not isinstance(name, str) or not (axes is None or (isinstance(axes, list) and all(type(a) is int for a in axes))):
            raise ValueError("its name must be text, its axes whole numbers")
        analysis = Analysis(graph, tuple(axes) if axes is not None else None, name)
        analysis._walk(graph.inputs[0])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(f"{path} is damaged: {error}. Write it again with analysis.to_json(path).") from error
    return analysis


def analyze(
    model: Any,
    input_size: Sequence[int] | None = None,
    *,
    inputs: Any = None,
    axes: str | Sequence[int] | None = None,
    training: bool = False,
    strict: bool = False,
) -> Analysis:
    """The exact receptive field of every layer of `model`.

    `model`: a `torch.nn.Module`; a program of torch.export, or the path of its file (``"x.pt2"``, read as data: nothing in it is
    unpickled or evaluated); an ONNX model or the path of its file (``"x.onnx"``, read and not run); or a layer text such as
    ``"conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4"``.
    `input_size`: shape of the input tensor, batch and channels included, such as ``(1, 3, 224, 224)``; a program and a text have
    one of their own. `inputs`: tensors instead, as a tuple of arguments or a dict by argument name; only their shapes and
    dtypes matter, unless the model's control flow reads values. `axes`: which axes of the input are space, as indices or
    letters of the last axes ("hw"); default all after batch and channels. `training`: fields under training-mode
    normalisation. `strict`: raise UnsupportedOps where an op is only bounded.

    The model is left as it was found. Raises UsageError for wrong arguments and CaptureError if the model itself fails.
    """
    from isopter.capture.dispatch import to_graph

    graph, name = to_graph(model, input_size, inputs, training)
    analysis = Analysis(graph, _axes(axes, graph), name)
    opaque = [str(issue) for issue in graph.issues if issue.what.startswith("No rule")]
    if strict and opaque:
        raise UnsupportedOps(
            f"{len(opaque)} kinds of op have no rule: {'; '.join(opaque)}. "
            "Register rules with isopter.register, or drop strict=True to get bounds."
        )
    if callable(getattr(model, "named_modules", None)):
        analysis._modules.update((module, path) for path, module in reversed(list(model.named_modules())) if path)
    analysis._walk(analysis._inputs[0])  # a wrong `axes` is an error now, not at the first question
    return analysis


def _axes(axes: str | Sequence[int] | None, graph: Graph) -> tuple[int, ...] | None:
    """Letters name the input's last axes: "hw" the last two, "dhw" three, "t" or "l" one."""
    if axes is None:
        return None
    rank = len(graph.ops[graph.inputs[0]].shape)
    if isinstance(axes, str):
        if not axes or len(axes) > rank:
            raise UsageError(
                f"axes={axes!r} names {len(axes)} axes, but the input has {rank}. Example: axes='hw', or indices such as (2, 3)."
            )
        return tuple(range(rank - len(axes), rank))
    if not isinstance(axes, Sequence) or any(isinstance(a, bool) or not hasattr(a, "__index__") for a in axes):
        raise UsageError(f"axes={axes!r} must be letters such as 'hw', or a tuple of indices such as (2, 3).")
    return tuple(operator.index(a) for a in axes if not isinstance(a, str))
