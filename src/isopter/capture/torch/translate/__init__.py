"""From ATen calls to neutral ops: one function per family, registered by name. An unknown call is never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from isopter.capture.torch.values import Data, Value, tensors_in
from isopter.capture.translators import Translators
from isopter.reads.registry import has_rule

if TYPE_CHECKING:
    from isopter.capture.torch.tape import Call, Tape

Translated = list[Value] | Value | int
Translator = Callable[["Tape", "Call"], Translated]
"""Emits ops for a call and returns the value of each tensor the call returned (one value: the same for all)."""

TRANSLATORS: Translators[Translator] = Translators(__name__, __path__)
aten = TRANSLATORS.register
"""Register a translator for these ATen names (separated by spaces, without overload)."""


def knows(func: Any) -> bool:
    """Whether a call has a translator or a rule of the user's own."""
    return TRANSLATORS.get(func._schema.name.removeprefix("aten::")) is not None or has_rule(func._schema.name)


def translate(rec: Tape, call: Call) -> list[Value]:
    """The values of the call's outputs."""
    function = TRANSLATORS.get(call.name)
    if function is None and is_pointwise(call.func):
        function = TRANSLATORS.get("pointwise")
    if function is None:
        function = registered if has_rule(call.func._schema.name) else opaque
    before = len(rec.ops)
    result = function(rec, call)
    if not isinstance(result, list):
        value: Value = Data(result) if isinstance(result, int) else result
        result = [value] * len(call.outs)
    return result if call.name in FORGETS or not _overlooked(rec, call, before, result) else opaque(rec, call)


FORGETS = frozenset(
    "copy zero fill uniform normal_ random exponential cauchy log_normal geometric bernoulli_ set_ slice_scatter select_scatter "
    "diagonal_scatter as_strided_scatter index_put _index_put_impl index_copy scatter where cat concat".split()
)
"""Calls that rightly drop data: what they overwrite, or leave out."""


def _overlooked(rec: Tape, call: Call, before: int, values: list[Value]) -> bool:
    """Whether a translator left a data argument unread (a norm whose scale is computed from the input): never guess."""
    used = {i for op in rec.ops[before:] for i in op.inputs} | {v.op for v in values if isinstance(v, Data)}
    return any(op not in used for op in data_inputs(rec, call))


def is_pointwise(func: Any) -> bool:
    """PyTorch's own word for it: a tag on the overload, or on the functional twin of an in-place one."""
    if torch.Tag.pointwise in func.tags:
        return True
    twin = getattr(torch.ops.aten, func._schema.name.removeprefix("aten::").removesuffix("_"), None)
    return twin is not None and any(torch.Tag.pointwise in getattr(twin, o).tags for o in twin.overloads()[:2])


def registered(rec: Tape, call: Call) -> list[Value]:
    """An operator with a rule of the user's own (`isopter.register`): its kind is its name, its params its plain arguments."""
    kind = call.func._schema.name
    params = {k: v for k, v in call.arguments.items() if not tensors_in(v)}
    return [Data(rec.emit(kind, tuple(out.shape), data_inputs(rec, call), params, kind.rpartition("::")[2])) for out in call.outs]


def opaque(rec: Tape, call: Call) -> list[Value]:
    """No rule: each output may read all of each input. Declared, and listed in the result."""
    name = call.func._schema.name.replace("::", ".")
    rec.issue(f"No rule for {name}: bounded by its whole input")
    inputs = data_inputs(rec, call)
    return [Data(rec.emit("opaque", tuple(out.shape), inputs, {}, name)) for out in call.outs]


def data_inputs(rec: Tape, call: Call) -> list[int]:
    """The ops of all data arguments, in order."""
    found = (rec.op_of(t) for a in call.arguments.values() for t in tensors_in(a))
    return [op for op in found if op is not None]


def source_op(rec: Tape, call: Call, name: str = "self") -> int:
    """The op of a data argument."""
    op = rec.op_of(call[name])
    assert op is not None, f"{call.name}: {name} is not data"
    return op


def shape_of(call: Call) -> tuple[int, ...]:
    """Shape of the call's first output."""
    return tuple(call.outs[0].shape)
