"""LSTM, GRU and RNN: one op, not one per step."""

from __future__ import annotations

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque
from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Data, Value
from isopter.errors import CaptureError


@onnx_op("LSTM GRU RNN")
def recurrent(rec: Builder, node: Node) -> Translated:
    """Input (time, batch, features), output (time, directions, batch, hidden), last states (directions, batch, hidden); layout 1 has
    the batch first. First states that are data are read by all steps; lengths that are not constant are a bound."""
    op = node.data(0)
    if op is None or node.data(1) is not None or node.data(2) is not None or len(node.shape(0)) != 3:
        return opaque(rec, node)
    direction = node.attr("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise CaptureError(f"{node.label}: direction {direction!r} of {node.op}.")
    batch_first = bool(node.attr("layout", 0))
    if batch_first:
        op = moves.transpose(rec, op, [1, 0, 2])
    steps, batch, _ = rec.shape(op)
    if not steps:
        return opaque(rec, node)
    both = 2 if direction == "bidirectional" else 1
    hidden = node.shape(2)[-1]
    if node.has(4):
        if node.data(4) is not None:
            return opaque(rec, node)
        rec.issue(f"{node.op} of sequences of several lengths: taken as of full length")
    states = []
    for position in (5, 6):
        state = node.data(position)
        if state is not None:
            states.append(moves.transpose(rec, state, [1, 0, 2]) if batch_first else state)
    op = moves.flip(rec, op, 0) if direction == "reverse" else op
    params = {"time": 0, "layers": 1, "bidirectional": both == 2}
    op = rec.emit("recurrent", (steps, batch, both * hidden), [op, *states], params, node.op.lower())
    op = moves.flip(rec, op, 0) if direction == "reverse" else op
    op = moves.reshape(rec, op, (steps, batch, both, hidden))
    every = moves.transpose(rec, op, [1, 0, 2, 3] if batch_first else [0, 2, 1, 3])
    values: list[Value] = [Data(every)]
    if len(node.outs) > 1:
        values += [Data(_last(rec, op, direction, batch_first))] * (len(node.outs) - 1)
    return values


def _last(rec: Builder, op: int, direction: str, batch_first: bool) -> int:
    """The state at the end: of the last step, or of the first where time runs backwards. From (time, batch, directions, hidden)."""
    steps, batch, both, hidden = rec.shape(op)
    ends = []
    for k in range(both):
        backward = direction == "reverse" or k == 1
        end = moves.slice_axis(rec, op, 0, 0 if backward else steps - 1, 1, 1)
        ends.append(moves.slice_axis(rec, end, 2, k, 1, 1))
    last = ends[0]
    if both == 2:
        last = rec.emit("concat", (1, batch, 2, hidden), ends, {"axis": 2, "offsets": (0, 1)}, "cat")
    last = moves.squeeze(rec, last, {0})
    return last if batch_first else moves.transpose(rec, last, [1, 0, 2])
