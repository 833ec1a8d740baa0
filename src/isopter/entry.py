"""The two ways to an Analysis: from a model (`analyze`), and from a file (`load`)."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isopter.analysis import SCHEMA_VERSION, Analysis
from isopter.errors import UnsupportedOps, UsageError
from isopter.graph import Graph, check


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
    unpickled or evaluated); a Keras model, or the path of its file (``"x.keras"``, read in safe mode); a `tf.function`, `tf.Module` or
    the folder of a SavedModel; a function of JAX, or a module of Flax or Equinox; an ONNX model or the path of its file (``"x.onnx"``,
    read and not run); or a layer text such as ``"conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4"``.
    `input_size`: shape of the input tensor, axes as the model has them, batch and channels included, such as ``(1, 3, 224, 224)``, or
    ``(1, 224, 224, 3)`` with channels last; files, programs and texts have one of their own. `inputs`: tensors instead, as a tuple of
    arguments or a dict by argument name; only their shapes and dtypes matter, unless the model's control flow reads values. `axes`:
    which axes of the input are space, as indices or letters of the last axes ("hw"); default those along which its first convolution or
    pooling slides (so channels may come first or last), else all after batch and channels. `training`: fields under training-mode
    normalisation. `strict`: raise UnsupportedOps where an op is only bounded.

    The model is left as it was found. Raises UsageError for wrong arguments and CaptureError if the model itself fails.
    """
    from isopter.capture.dispatch import modules_of, to_graph

    graph, name = to_graph(model, input_size, inputs, training)
    analysis = Analysis(graph, _axes(axes, graph), name)
    opaque = [str(issue) for issue in graph.issues if issue.what.startswith("No rule")]
    if strict and opaque:
        raise UnsupportedOps(
            f"{len(opaque)} kinds of op have no rule: {'; '.join(opaque)}. "
            "Register rules with isopter.register, or drop strict=True to get bounds."
        )
    analysis._modules.update(modules_of(model))
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
