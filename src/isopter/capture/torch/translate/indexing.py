"""Indexing: exact by a constant index, bounded by one that values decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from isopter.capture.torch import moves
from isopter.capture.torch.translate import aten, data_inputs, opaque, shape_of, source_op
from isopter.capture.torch.values import Const, Data, Value

if TYPE_CHECKING:
    from isopter.capture.torch.recorder import Call, Recorder


def constant(rec: Recorder, tensor: object) -> np.ndarray | None:
    """The tensor's value if it is a constant."""
    value = rec.value(tensor) if isinstance(tensor, Tensor) else None
    if not isinstance(value, Const) or value.real.device.type == "meta":
        return None
    real = value.real
    return np.asarray(rec.real(lambda: real.detach().cpu().numpy()))


@aten("index _unsafe_index index_select gather take_along_dim take")
def index(rec: Recorder, call: Call) -> int | list[Value]:
    source = call["self"]
    if rec.op_of(source) is None:  # a table of constants looked up by data (embedding): own position of the index
        return lookup(rec, call)
    indices = call["indices"] if "indices" in call.arguments and isinstance(call["indices"], list) else [call.get("index")]
    known = [constant(rec, i) for i in indices if i is not None]
    if any(k is None for k in known):
        return chosen(rec, call)
    op = source_op(rec, call)
    if call.name == "index_select":
        return moves.take(rec, op, call["dim"] % source.dim(), _positive(known[0], source.shape[call["dim"]]))
    if call.name in ("index", "_unsafe_index"):
        return _index(rec, op, source, indices, known, shape_of(call))
    arguments = {k: v for k, v in call.arguments.items() if k not in ("self", "index")}
    real = torch.from_numpy(np.ascontiguousarray(known[0]))
    shape = tuple(source.shape)
    rows = rec.real(lambda: call.func(torch.arange(source.numel()).reshape(shape), index=real, **arguments).reshape(-1, 1).numpy())
    return moves.gather(rec, op, rows, shape_of(call))


def _positive(at: np.ndarray | None, n: int) -> np.ndarray:
    assert at is not None
    return np.where(at < 0, at + n, at).astype(np.int64).reshape(-1)


def _index(rec: Recorder, op: int, source: Tensor, indices: list[Tensor | None], known: list[np.ndarray | None], out: tuple[int, ...]) -> int:
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


def chosen(rec: Recorder, call: Call) -> list[Value]:
    """The index depends on the input: the indexed axes are read whole, at most."""
    source = call["self"]
    first = source_op(rec, call)
    rec.issue(f"aten.{call.name} by an index computed from the input: bounded by the whole indexed axis")
    if "dim" in call.arguments:
        axes: tuple[int, ...] = (call["dim"] % source.dim(),)
    else:
        listed = call["indices"] if isinstance(call.get("indices"), list) else [call["index"]] * source.dim()
        axes = tuple(a for a, i in enumerate(listed) if i is not None)
    rest = [op for op in data_inputs(rec, call) if op != first]
    return [Data(rec.emit("chosen", tuple(o.shape), [first, *rest], {"axes": axes}, call.name)) for o in call.outs]


@aten("embedding")
def lookup(rec: Recorder, call: Call) -> int | list[Value]:
    """A table of weights looked up by data: each output row reads its own index."""
    inputs = data_inputs(rec, call)
    out = shape_of(call)
    if len(inputs) != 1:
        return opaque(rec, call)
    shape = rec.shape(inputs[0])
    if out[: len(shape)] == shape:
        op = moves.reshape(rec, inputs[0], (*shape, *(1,) * (len(out) - len(shape))))
        return moves.expand(rec, op, out, "embedding")
    return opaque(rec, call)


@aten("index_put _index_put_impl index_copy index_add scatter scatter_add scatter_reduce index_fill slice_scatter select_scatter masked_scatter "
      "diagonal_scatter index_reduce")  # fmt: skip
def put(rec: Recorder, call: Call) -> int | list[Value] | Value:
    """Writing at constant positions: run on positions to see who went where."""
    source = call["self"]
    added = call.name in ("index_add", "scatter_add", "scatter_reduce", "index_reduce") or bool(call.get("accumulate", False))
    value = next((call[k] for k in ("values", "src", "source", "value") if k in call.arguments), None)
    listed = call.get("indices") if isinstance(call.get("indices"), list) else [call.get("index")]
    index_known = all(i is None or not isinstance(i, Tensor) or constant(rec, i) is not None for i in listed)
    if not index_known or call.name == "masked_scatter" or (added and call.name not in ("index_put", "_index_put_impl", "index_add", "scatter_add")):
        return opaque(rec, call)
    shape = tuple(source.shape)
    count = source.numel()
    marks = torch.arange(count).reshape(shape)
    arguments = {k: _real(rec, v) for k, v in call.arguments.items() if k != "self"}
    key = next((k for k in ("values", "src", "source", "value") if k in call.arguments), None)
    written = None
    if key is not None and isinstance(value, Tensor):
        written = torch.arange(count, count + value.numel()).reshape(value.shape)
        arguments[key] = written
    elif key is not None:
        arguments[key] = -1
    if "accumulate" in arguments:
        arguments["accumulate"] = False
    name = {"index_add": "index_copy", "scatter_add": "scatter"}.get(call.name, call.name.removeprefix("_").replace("_impl", ""))
    arguments.pop("alpha", None)
    arguments.pop("unsafe", None)
    placed = rec.real(lambda: getattr(torch.ops.aten, name)(marks, **arguments)).reshape(-1).numpy()
    if added and len(np.unique(placed)) < count and written is not None and (np.isin(np.arange(count, count + written.numel()), placed).sum() < written.numel()):
        return opaque(rec, call)  # several values land on one position
    covered = (placed >= count) | (placed < 0)
    base, new = rec.op_of(source), rec.op_of(value) if isinstance(value, Tensor) else None
    inputs = [] if base is None else [base]
    if new is not None:
        rows = np.where(placed >= count, placed - count, -1).reshape(-1, 1)
        inputs.append(moves.gather(rec, new, rows, shape, call.name))
    if added:
        return rec.emit("pointwise", shape, inputs, {}, call.name)
    params = {"covered": covered.reshape(shape), "base": base is not None, "value": new is not None}
    return rec.emit("overlay", shape, inputs, params, call.name)


def _real(rec: Recorder, item: object) -> object:
    if isinstance(item, Tensor):
        known = constant(rec, item)
        return torch.from_numpy(np.ascontiguousarray(known)) if known is not None else item
    return [_real(rec, i) for i in item] if isinstance(item, list | tuple) else item
