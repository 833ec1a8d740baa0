"""Keras on JAX: each size of input is traced to a jaxpr whose results are those of the layers that are wanted."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import keras
from jax.extend.core import ClosedJaxpr

from isopter.analysis import Analysis
from isopter.capture.jax.trace import jaxpr_of
from isopter.capture.keras.capture import first_line
from isopter.capture.keras.kept import untouched
from isopter.erf.asks import Target
from isopter.erf.facts import Facts, measured
from isopter.erf.jax.facts import run_of
from isopter.erf.jax.live import device_of
from isopter.erf.jax.program import JaxProgram
from isopter.erf.jax.values import At, Values
from isopter.erf.keras.facts import Run
from isopter.erf.keras.traces import Traced
from isopter.erf.passes import check_same
from isopter.erf.traced import Program, TracedLive, dtype_name
from isopter.errors import CaptureError, IsopterError
from isopter.fields.plan import Plan


def live(model: Any, analysis: Analysis, *, target: Target, seed: int, training: bool, dtype: Any, device: Any) -> TracedLive:
    """A Keras model, ready to be measured."""
    computed, place = dtype_name(dtype, model.compute_dtype or "float32"), device_of(device)

    def trace(shape: tuple[int, ...], rows: int, calls: frozenset[str]) -> Program:
        run = Traced.of(model, shape, training, calls)
        closed = _closed(model, run)
        values = Values(closed, [0])
        keys = [values.key(At((), var)) for var in closed.jaxpr.outvars]
        found = {made: key for made, key in zip(run.made, keys, strict=True) if key is not None}
        return JaxProgram(closed, [], 0, found, computed, place)

    return TracedLive(model, analysis, trace, dtype=computed, separable=True, target=target, seed=seed, training=training)


def _closed(model: Any, run: Traced) -> ClosedJaxpr:
    def stateless(x: Any) -> list[Any]:
        with keras.StatelessScope():
            return run(x)

    struct: Any = jax.ShapeDtypeStruct  # which has no types
    with untouched(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return jax.make_jaxpr(stateless)(struct(run.spec.shape, run.spec.dtype))
        except IsopterError:
            raise
        except Exception as error:
            shape = "x".join(map(str, run.spec.shape))
            said = f"raised {type(error).__name__} when run on an input of {shape}: {first_line(error)}"
            raise CaptureError(f"{model.name} {said}") from error


def facts(plan: Plan, run: Run) -> Facts:
    """What a forward pass says in place of what theory assumes."""

    def stateless(*tensors: Any) -> list[Any]:
        with keras.StatelessScope():
            return run(*tensors)

    struct: Any = jax.ShapeDtypeStruct  # which has no types
    closed = jaxpr_of(stateless, [struct(s.shape, s.dtype) for s in run.given.tensors])
    made = run_of(closed, run.arrays, [s.name for s in run.given.tensors], None, run.model.name)
    check_same(plan.graph, made.graph, run.model.name)
    return measured(plan, made)
