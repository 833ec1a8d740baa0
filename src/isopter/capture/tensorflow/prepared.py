"""A model's graph as a differentiable function of its inputs: any of its tensors, in double precision, with other weights if wanted.

Ops are made anew one by one, under other types. It shares the flat graph with the capture, and nothing of what an op reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.tensorflow import api
from isopter.capture.tensorflow.channels import is_first, with_channels_last
from isopter.capture.tensorflow.flat import BRANCHES, LOOPS, RUNS_PYTHON, Flat, ancestors, flat_of, flatten
from isopter.capture.tensorflow.kernels import WIDE, runs, types_of, widened
from isopter.capture.tensorflow.program import Held, program_of
from isopter.errors import CaptureError

Operand = tuple[str, int]
"""An operand of an op: the op's name, and the position."""

TOUCHES = frozenset("ReadFile WriteFile MatchingFiles Copy CopyHost SaveV2 SaveSlices Save RestoreV2 RestoreSlice Restore".split())
"""Ops that act outside of the graph, beside those that TensorFlow itself says have a state: they are not run."""

PASSES = frozenset("DebugIdentity DebugIdentityV2 DebugIdentityV3 Print RandomShuffle CheckNumerics CheckNumericsV2".split())
"""Ops that give what they get, but for what they do beside it."""


class Prepared:
    """Called with the inputs' values, it returns the watched tensors. `single`: types of ops that ran in single precision for want of a
    kernel in double. `spec`: what the inputs must be."""

    def __init__(self, flat: Flat, watch: Sequence[str], dtype: Any, weights: Mapping[Operand, Any]) -> None:
        inputs = [flat.graph.get_tensor_by_name(f"{n}:0") for n in flat.inputs]
        self.spec = [(tuple(t.shape.as_list()), _as(t.dtype, dtype)) for t in inputs]
        self.single: set[str] = set()
        self._run = _Run(flat, dtype, dict(weights), self.single)
        self._watch = list(watch)
        self._call = tf.function(self._traced, autograph=False, input_signature=[tf.TensorSpec(*s) for s in self.spec])

    def __call__(self, *inputs: Any) -> list[Any]:
        """The watched tensors; gradients flow from them to the inputs."""
        return list(self._call(*(tf.convert_to_tensor(x, dtype) for x, (_, dtype) in zip(inputs, self.spec, strict=True))))

    def _traced(self, *inputs: Any) -> list[Any]:
        given = dict(zip((f"{n}:0" for n in self._run.flat.inputs), inputs, strict=True))
        return self._run.values(given, self._watch)


def prepared(concrete: Any, watch: Sequence[str], dtype: Any = tf.float64, weights: Mapping[Operand, Any] | None = None) -> Prepared:
    """A differentiable function from the inputs of a concrete function (or of its flat graph) to the tensors `watch`, by their names.

    `dtype`: tf.float64 computes all floats in double precision, None each in its own. `weights`: other values for operands of ops, arrays
    or variables, which may be assigned to later. Raises CaptureError where TensorFlow cannot run the graph.
    """
    if isinstance(concrete, Flat):
        return Prepared(concrete, watch, dtype, weights or {})
    program = program_of(concrete)
    flat = flatten(program, [None] * len(program.inputs))
    return Prepared(flat, watch, dtype, weights or {})


def _as(dtype: Any, wanted: Any) -> Any:
    return dtype if wanted is None else WIDE.get(dtype, dtype)


class _Run:
    """The ops of one flat graph, made anew in the graph that is being traced."""

    def __init__(self, flat: Flat, dtype: Any, weights: Mapping[Operand, Any], single: set[str]) -> None:
        self.flat, self.dtype, self.weights, self.single = flat, dtype, weights, single
        self.held = {name: self._eager(item) for name, item in flat.held.items()}

    def _eager(self, item: Held) -> Any:
        with tf.init_scope():
            return tf.constant(item.load(), _as(item.dtype, self.dtype))

    def values(self, given: Mapping[str, Any], watch: Sequence[str]) -> list[Any]:
        """The tensors `watch`, from the values of the inputs."""
        found: dict[str, Any] = dict(given)
        wanted = ancestors(self.flat.graph, watch)
        for op in self.flat.graph.get_operations():
            if op.name not in wanted or not op.outputs or op.outputs[0].name in found:
                continue
            inputs = [self.weights.get((op.name, k), found[t.name]) for k, t in enumerate(op.inputs)]
            inputs = [tf.convert_to_tensor(x) if isinstance(x, tf.Variable) else x for x in inputs]
            made = [self.held[op.name]] if op.name in self.held else self._op(op, inputs)
            found |= {t.name: v for t, v in zip(op.outputs, made, strict=True)}
        return [found[w] for w in watch]

    def _op(self, op: Any, inputs: list[Any]) -> list[Any]:
        if op.type == "Const":
            return [self._constant(op)]
        if op.type in PASSES:
            return inputs[:1]
        if op.type in BRANCHES:
            return self._branch(op, inputs)
        if op.type in LOOPS:
            return self._loop(op, inputs)
        if op.type.startswith("FusedBatchNorm") and self.dtype is not None:
            return batch_norm(op, inputs)
        if _is_random(op):
            return [_at_rest(op, _as(op.outputs[0].dtype, self.dtype))]
        if op.type in TOUCHES or (op.op_def.is_stateful and op.type not in RUNS_PYTHON):
            raise CaptureError(f"{op.name} ({op.type}) acts outside of the graph, or remembers: it is not run, and cannot be verified.")
        attributes = {n: a for n, a in op.node_def.attr.items() if not n.startswith("_")}
        wide = attributes if self.dtype is None else widened(attributes)
        if op.type in RUNS_PYTHON or not runs(op.type, wide):
            wide = attributes
            if self.dtype is not None:
                self.single.add(op.type)
        expected, gives = types_of(op.op_def.input_arg, wide), types_of(op.op_def.output_arg, wide)
        inputs = [_cast(x, t) for x, t in zip(inputs, expected, strict=True)]

        def make(given: Sequence[Any], attributes: dict[str, Any]) -> list[Any]:
            return api.make_op(op.type, given, gives, attributes)

        made = with_channels_last(op.type, inputs, wide, make) if is_first(op.type, wide) else make(inputs, wide)
        return [_cast(m, _as(t.dtype, self.dtype)) for m, t in zip(made, op.outputs, strict=True)]

    def _constant(self, op: Any) -> Any:
        dtype = _as(op.outputs[0].dtype, self.dtype)
        array = tf.make_ndarray(op.get_attr("value"))
        if array.size <= 1024:
            return tf.constant(array, dtype)
        with tf.init_scope():
            return tf.constant(array, dtype)

    # ---- functions in ops -----------------------------------------------------------------------------------------------

    def _body(self, op: Any, name: str, tensors: Sequence[Any]) -> Callable[..., list[Any]]:
        """A function that an op calls, of values for its arguments."""
        if name not in self.flat.library:
            raise CaptureError(f"{op.name} calls {name!r}, a function that is not in the graph.")
        nodes, arguments, returned = api.body_of(self.flat.library[name], self.flat.library)
        held = {
            a: Held(tuple(t.shape.as_list()) if t.shape.is_fully_defined() else None, t.dtype, lambda: np.zeros(()), False)
            for a, t in zip(arguments, tensors, strict=True)
        }
        flat = flat_of(nodes, self.flat.library, {}, held, returned, {})
        run = _Run(Flat(flat.nodes, flat.inputs, flat.outputs, {}, flat.library), self.dtype, {}, self.single)

        def called(*values: Any) -> list[Any]:
            return run.values({f"{a}:0": v for a, v in zip(arguments, values, strict=True)}, flat.outputs)

        return called

    def _branch(self, op: Any, inputs: list[Any]) -> list[Any]:
        chosen, *rest = inputs
        if op.type.endswith("If"):
            names = [op.get_attr("then_branch").name, op.get_attr("else_branch").name]
            yes, no = (self._body(op, n, list(op.inputs)[1:]) for n in names)
            return _listed(tf.cond(tf.cast(chosen, tf.bool), lambda: yes(*rest), lambda: no(*rest)))
        bodies = [self._body(op, f.name, list(op.inputs)[1:]) for f in op.get_attr("branches")]
        return _listed(tf.switch_case(chosen, [lambda b=b: b(*rest) for b in bodies]))

    def _loop(self, op: Any, inputs: list[Any]) -> list[Any]:
        condition = self._body(op, op.get_attr("cond").name, list(op.inputs))
        body = self._body(op, op.get_attr("body").name, list(op.inputs))
        shapes = [tf.TensorShape(None) if x.dtype == tf.variant else x.shape for x in inputs]
        return _listed(tf.while_loop(lambda *v: condition(*v)[0], lambda *v: tuple(body(*v)), tuple(inputs), tuple(shapes)))


def batch_norm(op: Any, inputs: Sequence[Any]) -> list[Any]:
    """A fused batch norm, which has no kernel in double precision, from single ops."""
    x, scale, offset, mean, variance, *_ = inputs
    rank = len(x.shape)
    channel = 1 if op.get_attr("data_format") in (b"NCHW", b"NCDHW") else rank - 1
    if op.get_attr("is_training"):
        mean, variance = tf.nn.moments(x, [a for a in range(rank) if a != channel])
    wide = [n if a == channel else 1 for a, n in enumerate(x.shape)]
    scale, offset, centre, spread = (tf.reshape(t, wide) for t in (scale, offset, mean, variance))
    made = (x - centre) * tf.math.rsqrt(spread + op.get_attr("epsilon")) * scale + offset
    rest = [mean, variance, mean, variance, tf.zeros((), x.dtype)]
    return [made, *rest[: len(op.outputs) - 1]]


def _is_random(op: Any) -> bool:
    kind = op.type
    return len(op.outputs) == 1 and ("Random" in kind or kind in ("TruncatedNormal", "ParameterizedTruncatedNormal", "Multinomial"))


def _at_rest(op: Any, dtype: Any) -> Any:
    """Random numbers that are the same each time. Uniform ones are just below 1: what one draw drops, another keeps, so all is read."""
    shape = op.outputs[0].shape
    if not shape.is_fully_defined():
        raise CaptureError(f"{op.name} draws random numbers of a shape that values decide, and cannot be verified.")
    if not dtype.is_floating:
        return tf.zeros(shape, dtype)
    if "Uniform" in op.type:
        return tf.fill(shape, tf.constant(1 - 2**-20, dtype))
    return tf.constant(np.random.default_rng(0).standard_normal(tuple(shape)), dtype)


def _cast(x: Any, dtype: Any) -> Any:
    return x if x.dtype == dtype else tf.cast(x, dtype)


def _listed(made: Any) -> list[Any]:
    return list(made) if isinstance(made, list | tuple) else [made]
