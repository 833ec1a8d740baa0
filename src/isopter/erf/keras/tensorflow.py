"""Keras on TensorFlow: each size of input is traced to a graph whose results are those of all layers."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf  # type: ignore[import-untyped]

from isopter.analysis import Analysis
from isopter.capture.keras.capture import first_line
from isopter.capture.keras.kept import untouched
from isopter.capture.tensorflow.capture import captured
from isopter.erf.asks import Target
from isopter.erf.facts import Facts, measured
from isopter.erf.keras.facts import Run
from isopter.erf.keras.traces import Traced
from isopter.erf.passes import check_same
from isopter.erf.tensorflow.facts import pass_of
from isopter.erf.tensorflow.program import TensorFlowProgram
from isopter.erf.traced import Program, TracedLive, dtype_name
from isopter.errors import CaptureError, IsopterError
from isopter.fields.plan import Plan


def live(model: Any, analysis: Analysis, *, target: Target, seed: int, training: bool, dtype: Any, device: Any) -> TracedLive:
    """A Keras model, ready to be measured."""
    computed = dtype_name(dtype, model.compute_dtype or "float32")

    def trace(shape: tuple[int, ...], rows: int, calls: frozenset[str]) -> Program:
        run = Traced.of(model, (rows * shape[0], *shape[1:]), training, calls)
        concrete = _concrete(model, run)
        flat = captured(concrete, [run.spec.name], None, [run.spec.shape]).flat
        return TensorFlowProgram(flat, dict(zip(run.made, flat.outputs, strict=True)), rows, computed, device)

    return TracedLive(model, analysis, trace, dtype=computed, separable=False, target=target, seed=seed, training=training)


def _concrete(model: Any, run: Traced) -> Any:
    with untouched(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec(run.spec.shape, run.spec.dtype))
        except IsopterError:
            raise
        except Exception as error:
            shape = "x".join(map(str, run.spec.shape))
            said = f"raised {type(error).__name__} when run on an input of {shape}: {first_line(error)}"
            raise CaptureError(f"{model.name} {said}") from error


def facts(plan: Plan, run: Run) -> Facts:
    """What a forward pass says in place of what theory assumes."""

    def ours(*tensors: Any) -> list[Any]:
        graph = tf.compat.v1.get_default_graph()
        own, made = run.results(*tensors)
        return own + [t for several in made if all(t.graph is graph for t in several) for t in several]  # no bodies of loops

    specs = run.given.tensors
    concrete = tf.function(ours, autograph=False).get_concrete_function(*(tf.TensorSpec(s.shape, s.dtype) for s in specs))
    names = [s.name for s in specs]
    made = pass_of(captured(concrete, names, None, [s.shape for s in specs]), dict(zip(names, run.arrays, strict=True)), run.model.name)
    check_same(plan.graph, made.graph, run.model.name)
    return measured(plan, made)
