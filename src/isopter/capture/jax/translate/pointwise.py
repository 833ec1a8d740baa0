"""Pointwise primitives: rows of a table, and the few that have parameters of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isopter.capture.jax.node import Node, Tape
from isopter.capture.jax.translate import Translated, patterns, primitive
from isopter.capture.static import known
from isopter.capture.static.values import Const, Data, Value, Weight

POINTWISE = {
    "abs": "abs", "acos": "acos", "acosh": "acosh", "add": "add", "add_any": "add", "and": "bitwise_and", "asin": "asin",
    "asinh": "asinh", "atan": "atan", "atan2": "atan2", "atanh": "atanh", "bessel_i0e": "i0e", "bessel_i1e": "i1e", "cbrt": "cbrt",
    "ceil": "ceil", "clz": "clz", "complex": "complex", "conj": "conj", "cos": "cos", "cosh": "cosh", "digamma": "digamma", "div": "div",
    "eq": "eq", "eq_to": "eq",
    "erf": "erf", "erf_inv": "erfinv", "erfc": "erfc", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "floor": "floor",
    "ge": "ge", "gt": "gt", "igamma": "igamma", "igammac": "igammac", "igamma_grad_a": "igamma_grad", "imag": "imag",
    "integer_pow": "pow", "is_finite": "isfinite", "le": "le", "le_to": "le", "lgamma": "lgamma", "log": "log", "log1p": "log1p",
    "logistic": "sigmoid", "lt": "lt", "lt_to": "lt", "max": "maximum", "min": "minimum", "mul": "mul", "ne": "ne", "neg": "neg",
    "nextafter": "nextafter", "not": "bitwise_not", "or": "bitwise_or", "polygamma": "polygamma", "population_count": "popcount",
    "pow": "pow", "random_gamma_grad": "random_gamma_grad", "real": "real", "regularized_incomplete_beta": "betainc", "rem": "remainder",
    "round": "round", "rsqrt": "rsqrt", "shift_left": "bitwise_shift", "shift_right_arithmetic": "bitwise_shift",
    "shift_right_logical": "bitwise_shift", "sign": "sign", "sin": "sin", "sinh": "sinh", "sqrt": "sqrt", "square": "pow", "sub": "sub",
    "tan": "tan", "tanh": "tanh", "xor": "bitwise_xor", "zeta": "zeta", "mulhi": "mul",
}  # fmt: skip
"""Primitives by the names of pointwise functions that `isopter.reads.slopes` knows."""

ACTIVATIONS = {
    "relu": "relu", "relu6": "relu6", "silu": "silu", "swish": "silu", "softplus": "softplus", "leaky_relu": "leaky_relu", "elu": "elu",
    "selu": "selu", "celu": "celu", "hard_sigmoid": "hardsigmoid", "hard_silu": "hardswish", "hard_swish": "hardswish", "gelu": "gelu",
    "mish": "mish", "log_sigmoid": "log_sigmoid", "hard_tanh": "hardtanh", "soft_sign": "softsign", "sigmoid": "sigmoid",
}  # fmt: skip
"""Functions of ``jax.nn``, by the names that slopes are known of."""


@primitive(" ".join(POINTWISE))
def pointwise(rec: Tape, node: Node) -> Translated:
    """Each position by itself. What only adds a weight is no op of its own: it is a bias, and reads nothing else."""
    name, operands = POINTWISE[node.op], node.inputs
    if len(operands) == 2:
        first, second = operands
        if not (isinstance(first, Data) and isinstance(second, Data)):
            data, other = (first, second) if isinstance(first, Data) else (second, first)
            assert isinstance(data, Data)
            short = _with_constant(rec, node, name, data, other, isinstance(first, Data))
            if short is not None:
                return short
            params = _scaled(rec, node, name, other, isinstance(first, Data))
            word = _named(rec, node, name, data, other)
            result = known.pointwise(rec, word, [data] if word == "relu" else operands, node.out, params)
            return patterns.noted(rec, name, result, [data.op])
        found = patterns.recognised(rec, node, name)
        if found is not None:
            return found
        result = known.pointwise(rec, name, operands, node.out)
        return patterns.noted(rec, name, result, node.all_data())
    result = known.pointwise(rec, name, operands, node.out)
    return patterns.noted(rec, name, result, node.all_data())


def _with_constant(rec: Tape, node: Node, name: str, data: Data, other: Value, data_first: bool) -> Value | None:
    """The result of a bias, or of the division that makes a sum a mean; None for anything else."""
    same = rec.ops[data.op].shape == node.out
    bias = name in ("add", "sub") and same and data.fixed is None and data.faint is None
    if bias and (isinstance(other, Weight) or (isinstance(other, Const) and _is_plain(other))):
        result = Data(data.op)
        if name == "sub" and data_first and isinstance(other, Weight | Const) and other.shape:
            rec.shifted.add(result)
        return result
    if name in ("div", "mul") and same and data_first | (name == "mul") and isinstance(other, Const):
        return patterns.averaged(rec, name, data, other)
    return None


def _is_plain(other: Const) -> bool:
    """Whether a constant that is added hides nothing: it is no mask of -inf or -1e9."""
    if math.prod(other.shape) > known.FOLLOWED:
        return True
    numbers = other.load()
    if numbers is None:
        return True
    if numbers.dtype.kind != "f" or not numbers.shape or not numbers.size:
        return True
    return bool(numbers.min() > known.HIDES and numbers.max() < math.inf)  # NaN is neither


def _scaled(rec: Tape, node: Node, name: str, other: Value, data_first: bool) -> dict[str, Any]:
    """Numbers of a function of one operand and one known number: what slope it has."""
    if not isinstance(other, Const) or other.shape:
        return {}
    number = other.load()
    if number is None or number.dtype.kind not in "fiu":
        return {}
    if name == "mul" or (name == "div" and data_first and number != 0):
        factor = float(number) if name == "mul" else 1 / float(number)
        return {"slopes": (factor**2,)} if math.isfinite(factor) else {}
    return {}


def _named(rec: Tape, node: Node, name: str, data: Data, other: Value) -> str:
    """A better word: max(x, 0) is relu; a product with weights, after weights were subtracted, a batch norm at rest."""
    if name == "maximum" and isinstance(other, Const) and not other.shape and other.load() == 0:
        return "relu"
    if name == "mul" and data in rec.shifted:
        return "batch_norm"
    return name


def call(rec: Tape, node: Node, inner: Any) -> Data:
    """A called function of one operand that is nothing but pointwise: an activation, by its name where slopes are known of it."""
    position = next(k for k, v in enumerate(node.inputs) if isinstance(v, Data))
    op = node.data(position)
    assert op is not None
    params: dict[str, Any] = {}
    eqns = inner.jaxpr.eqns
    name = str(node.params.get("name") or (eqns[0].params.get("name", "") if len(eqns) == 1 else ""))
    if not name and len(eqns) == 1:
        name = POINTWISE.get(eqns[0].primitive.name, "")
    if name == "leaky_relu" and len(node.inputs) == 2:
        slope = node.const(1 - position)
        if slope is not None and slope.size == 1:
            params["leak"] = float(slope.item())
    name = ACTIVATIONS.get(name, name or "function")
    result = Data(rec.emit("pointwise", node.out, [op], params, name))
    return patterns.noted(rec, name, result, [op])


@primitive("clamp")
def clamp(rec: Tape, node: Node) -> Translated:
    """Between constants; bounds that are data are read as well."""
    low, high = node.const(0), node.const(2)
    if node.data(1) is None or low is None or high is None or low.size != 1 or high.size != 1:
        return known.pointwise(rec, "clip", node.inputs, node.out)
    between = (float(low.item()), float(high.item()))
    return known.pointwise(rec, "hardtanh", [node.inputs[1]], node.out, {"between": between})


@primitive(
    "stop_gradient copy copy_p convert_element_type reduce_precision optimization_barrier device_put sharding_constraint pvary pcast "
    "reshard layout_constraint mesh_cast name bitcast_convert_type copy_to_host_async tie"
)
def identity(rec: Tape, node: Node) -> Translated:
    """The same values, and no op at all."""
    values = list(node.inputs)
    if node.op == "bitcast_convert_type" and node.shapes[0] != node.out:
        op = node.data(0)
        assert op is not None
        return rec.emit("opaque", node.out, [op], {}, "bitcast")
    if node.op == "convert_element_type" and np.dtype(node.params["new_dtype"]).kind not in "fc":
        return [Data(v.op) if isinstance(v, Data) else v for v in values]
    return values


@primitive("select_n")
def select(rec: Tape, node: Node) -> Translated:
    """Case number `which` at each position; with a constant `which` each position reads one case only."""
    which, *cases = node.inputs
    if len(cases) == 1:
        return cases[0]
    if len(cases) > 2:
        return known.pointwise(rec, "choose", node.inputs, node.out)
    no, yes = cases
    chosen = node.const(0)
    if chosen is not None:
        chosen = chosen.astype(np.bool_)
        for case, all_ in ((yes, bool(chosen.all())), (no, not chosen.any())):
            if all_:
                return case
        if not isinstance(yes, Data) and not isinstance(no, Data):
            raise AssertionError("an equation without data")
    elif not any(isinstance(v, Data) for v in (yes, no)):
        return rec.emit("pointwise", node.out, node.all_data(), {}, "where")
    if isinstance(which, Weight) or (isinstance(which, Const) and chosen is None):
        return known.pointwise(rec, "where", cases, node.out)
    return known.where(rec, which, yes, no, node.out)


@primitive("split")
def split(rec: Tape, node: Node) -> list[Value]:
    """Pieces along an axis."""
    from isopter.capture.jax.translate.shapes import cut

    axis, start = node.params["axis"], 0
    found: list[Value] = []
    for size in node.params["sizes"]:
        found.append(cut(rec, node.inputs[0], {axis: (start, 1, int(size))}, "split"))
        start += int(size)
    return found
