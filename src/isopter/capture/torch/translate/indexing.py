"""Indexing: exact by a constant index, bounded by one that values decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isopter.capture.static import moves
from isopter.capture.torch import views
from isopter.capture.torch.translate import Translated, aten, data_inputs, opaque, shape_of, source_op
from isopter.capture.torch.values import Const, Data, State, Value

if TYPE_CHECKING:
    from isopter.capture.torch.tape import Call, Tape


def constant(rec: Tape, tensor: object) -> np.ndarray | None:
    """The tensor's value if it is a constant."""
    value = rec.value(tensor) if isinstance(tensor, Tensor) else None
    if not isinstance(value, Const) or value.real.device.type == "meta":
        return None
    real = value.real
    return np.asarray(rec.real(lambda: real.detach().cpu().numpy()))


@aten("index _unsafe_index index_select gather take_along_dim take")
def index(rec: Tape, call: Call) -> Translated:
    """Reading at constant positions, or at positions that values decide."""
    source = call["self"]
    if rec.op_of(source) is None:  # a table of constants looked up by data (embedding): own position of the index
        return lookup(rec, call)
    listed = call.get("indices")
    indices = listed if isinstance(listed, list) else [call.get("index") if listed is None else listed]
    known = [constant(rec, i) for i in indices if i is not None]
    if any(k is None for k in known):
        return chosen(rec, call)
    op = source_op(rec, call)
    if call.name == "index_select":
        return moves.take(rec, op, call["dim"] % source.dim(), _positive(known[0], source.shape[call["dim"]]))
    if call.name in ("index", "_unsafe_index"):
        return _index(rec, op, source, indices, known, shape_of(call))
    key = "index" if "index" in call.arguments else "indices"
    arguments = {k: v for k, v in call.arguments.items() if k not in ("self", key)}
    real = torch.from_numpy(np.ascontiguousarray(known[0]))
    shape = tuple(source.shape)
    rows = rec.real(lambda: call.func(torch.arange(source.numel()).reshape(shape), **{key: real}, **arguments).reshape(-1, 1).numpy())
    return moves.gather(rec, op, rows, shape_of(call))


def _positive(at: np.ndarray | None, n: int) -> np.ndarray:
    assert at is not None
    return np.where(at < 0, at + n, at).astype(np.int64).reshape(-1)


def _index(rec: Tape, op: int, source: Tensor, indices: list[Tensor | None], known: list[np.ndarray | None], out: tuple[int, ...]) -> int:
    """``x[:, i, j]`` with arrays i, j: one axis by one list is a take; several are a table over just those axes."""
    arrays: list[np.ndarray] = []
    axes: list[int] = []
    at = iter(known)
    axis = 0
    for item in indices:
        if item is None:
            axis += 1
            continue
        array = next(at)
        assert array is not None
        parts = array.nonzero() if array.dtype == np.bool_ else (array,)
        arrays += parts
        axes += range(axis, axis + len(parts))
        axis += len(parts)
    if len(axes) == 1 and arrays[0].ndim == 1:
        return moves.take(rec, op, axes[0], _positive(arrays[0], source.shape[axes[0]]))
    together = np.broadcast_arrays(*arrays)
    sizes = [source.shape[a] for a in axes]
    flat = np.zeros(together[0].shape, np.int64)
    for array, n in zip(together, sizes, strict=True):
        flat = flat * n + np.where(array < 0, array + n, array)
    adjacent = axes == list(range(axes[0], axes[0] + len(axes)))
    first = axes[0] if adjacent else 0
    outs = tuple(range(first, first + flat.ndim))
    others = [a for a in range(len(out)) if a not in outs]
    kept = [a for a in range(source.dim()) if a not in axes]
    params = {"outs": outs, "ins": tuple(axes), "rows": flat.reshape(-1, 1), "pairs": tuple(zip(others, kept, strict=True))}
    return rec.emit("gather", out, [op], params, "index")


def chosen(rec: Tape, call: Call) -> list[Value]:
    """The index depends on the input: the indexed axes are read whole, at most."""
    source = call["self"]
    first = source_op(rec, call)
    rec.issue(f"aten.{call.name} by an index computed from the input: bounded by the whole indexed axis")
    if "dim" in call.arguments:
        axes: tuple[int, ...] = (call["dim"] % source.dim(),)
    else:
        listed = call["indices"] if isinstance(call.get("indices"), list) else []
        given = [(a, i) for a, i in enumerate(listed) if i is not None]
        simple = len(given) == 1 and given[0][1].dim() == 1 and given[0][1].dtype != torch.bool
        axes = (given[0][0],) if simple else tuple(range(source.dim()))
    rest = [op for op in data_inputs(rec, call) if op != first]
    return [Data(rec.emit("chosen", tuple(o.shape), [first, *rest], {"axes": axes}, call.name)) for o in call.outs]


@aten("embedding")
def lookup(rec: Tape, call: Call) -> Translated:
    """A table of weights looked up by data: each output row reads its own index."""
    inputs = data_inputs(rec, call)
    out = shape_of(call)
    listed = call.get("indices")
    first = listed[0] is not None and len(listed) == 1 if isinstance(listed, list) else call.get("dim", 0) == 0
    if len(inputs) != 1 or not first or call.name in ("gather", "take_along_dim", "take"):
        return opaque(rec, call)
    shape = rec.shape(inputs[0])
    if out[: len(shape)] == shape:
        op = moves.reshape(rec, inputs[0], (*shape, *(1,) * (len(out) - len(shape))))
        return moves.expand(rec, op, out, "embedding")
    return opaque(rec, call)


@aten("index_put _index_put_impl index_copy index_add scatter scatter_add")
def put(rec: Tape, call: Call) -> Translated:
    """Writing or adding at constant positions. Where several writes meet, the last one stays, as on a CPU."""
    listed = call["indices"] if isinstance(call.get("indices"), list) else [call["index"]]
    known = [constant(rec, i) for i in listed if i is not None]
    masks = [i for i in listed if i is not None and i.dtype == torch.bool]
    if len(masks) == len(known) == 1 and known[0] is None and call["values"].numel() == 1:
        return _fill(rec, call, masks[0], listed.index(masks[0]))
    if any(k is None for k in known) or call.get("reduce") is not None:
        return opaque(rec, call)
    at = iter(known)
    real: list[Any] = [None if i is None else torch.from_numpy(np.ascontiguousarray(next(at))) for i in listed]
    written = next(call[k] for k in ("values", "src", "source", "value") if k in call.arguments)
    base, new = rec.op_of(call["self"]), rec.op_of(written) if isinstance(written, Tensor) else None
    shape = tuple(call["self"].shape)

    def positions() -> tuple[np.ndarray, np.ndarray]:
        """Where each written element lands, and which element of the source it is."""
        marks = torch.arange(math.prod(shape)).reshape(shape)
        if call.name.startswith("scatter"):
            target = marks.gather(call["dim"], real[0]) if marks.dim() else marks
        elif call.name.startswith("index_put") or call.name == "_index_put_impl":
            target = marks[tuple(slice(None) if i is None else i for i in real)]
        else:
            target = marks.index_select(call["dim"], real[0])
        if not isinstance(written, Tensor):
            return target.reshape(-1).numpy(), np.zeros(target.numel(), np.int64)
        source = torch.arange(written.numel()).reshape(written.shape)
        cut = source[tuple(slice(0, n) for n in target.shape)] if call.name.startswith("scatter") and source.dim() else source
        return target.reshape(-1).numpy(), cut.expand(target.shape).reshape(-1).numpy()

    target, source = rec.real(positions)
    adds = call.name in ("index_add", "scatter_add") or bool(call.get("accumulate", False))
    inputs = [] if base is None else [base]
    if new is not None:
        inputs.append(moves.gather(rec, new, _landing(target, source, math.prod(shape), keep_all=adds), shape, call.name))
    if adds:
        return rec.emit("pointwise", shape, inputs, {}, call.name)
    covered = np.zeros(math.prod(shape), np.bool_)
    covered[target] = True
    params = {"covered": covered.reshape(shape), "base": base is not None, "value": new is not None}
    return rec.emit("overlay", shape, inputs, params, call.name)


def _fill(rec: Tape, call: Call, mask: Tensor, axis: int) -> int:
    """``y[y > 1] = 0``: each position reads itself, its mask and the one value."""
    shape = tuple(call["self"].shape)
    inputs = [op for op in (rec.op_of(call["self"]), rec.op_of(call["values"])) if op is not None]
    chosen = rec.op_of(mask)
    if chosen is not None:
        inputs.append(moves.reshape(rec, chosen, (*mask.shape, *(1,) * (len(shape) - axis - mask.dim())), "mask"))
    return rec.emit("pointwise", shape, inputs, {}, call.name)


def _landing(target: np.ndarray, source: np.ndarray, count: int, keep_all: bool) -> np.ndarray:
    """Per position the source elements that land on it (-1: none): all of them, or the last."""
    lists: list[list[int]] = [[] for _ in range(count)]
    for to, element in zip(target.tolist(), source.tolist(), strict=True):
        if keep_all:
            lists[to].append(element)
        else:
            lists[to] = [element]
    width = max(map(len, lists), default=1) or 1
    return np.array([row + [-1] * (width - len(row)) for row in lists], np.int64).reshape(count, width)


@aten("slice_scatter select_scatter diagonal_scatter as_strided_scatter")
def write_view(rec: Tape, call: Call) -> Value:
    """A copy of the input, written through a view of it."""
    view = getattr(torch.ops.aten, call.name.removesuffix("_scatter"))
    arguments = {k: v for k, v in call.arguments.items() if k not in ("self", "src")}
    parent = State(call["self"], rec.value(call["self"]))
    return views.overlay(rec, parent, lambda x: view(x, **arguments), rec.value(call["src"]))


def expand_masks(rec: Tape, items: list[Tensor | None]) -> list[Tensor | None]:
    """Indices with each constant boolean mask as the lists of its true positions, so that no value is asked of the data."""
    expanded: list[Tensor | None] = []
    for item in items:
        known = constant(rec, item) if item is not None and item.dtype in (torch.bool, torch.uint8) else None
        expanded += [item] if known is None else [torch.from_numpy(a) for a in known.nonzero()]
    return expanded
