"""Which capture takes which model. Frameworks are recognised without importing any."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from isopter.errors import UsageError
from isopter.graph import Graph

if TYPE_CHECKING:
    from isopter.capture.target import Probes

READS = (
    "a torch.nn.Module, a Keras model or its file (.keras), a tf.function, tf.Module or the folder of a SavedModel, a JAX function or "
    "module (Flax, Equinox), a program of torch.export or its file (.pt2), an ONNX model or its file (.onnx), "
    'or a layer text such as "conv 3 p1, pool 2 s2"'
)
"""All that `analyze` takes, in words."""

_FILE = re.compile(r"[^\s,]*[/\\][^\s,]*|[^\s,]+\.[a-zA-Z]\w*")
"""A word that is a path: no layer is called so."""


class Capture(Protocol):
    """What the package of a framework's capture, ``isopter.capture.NAME``, offers."""

    def graph_of(self, model: Any, size: tuple[int, ...] | None, inputs: Any, training: bool) -> tuple[Graph, str]:
        """The graph of `model`, and a name for it. Raises MissingExtra without the framework."""
        ...

    def prober(self, model: Any, size: tuple[int, ...] | None, inputs: Any, *, weights: str, training: bool, seed: int) -> Probes:
        """A copy of the model to perturb."""
        ...


def framework(model: Any) -> str | None:
    """The capture that takes this model: "keras", "torch", "onnx", "tensorflow" or "jax"; None for a layer text, and for no model."""
    if is_file(model, ".keras") or _is(model, "keras", "Layer"):
        return "keras"  # first: with its backend for PyTorch, a Keras layer is a torch module too
    if is_file(model, ".pt2") or is_torch(model) or _is(model, "torch.export", "ExportedProgram"):
        return "torch"
    if is_file(model, ".onnx") or _is(model, "onnx", "ModelProto"):
        return "onnx"
    if is_tensorflow(model):
        return "tensorflow"
    return "jax" if "jax" in sys.modules and callable(model) and not isinstance(model, type) else None


def to_graph(model: Any, input_size: Sequence[int] | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of `model`, and a name for it."""
    size = check_size(input_size)
    if (name := framework(model)) is not None:
        return capture_of(name).graph_of(model, size, inputs, training)
    if isinstance(model, str):
        from isopter.capture.text import parse

        if _FILE.fullmatch(model.strip()):
            hint = " Give the folder that it is in." if model.endswith("saved_model.pb") else ""
            raise UsageError(f"{model!r} looks like a path, and is no model that isopter reads.{hint} Expected {READS}.")
        if inputs is not None:
            raise UsageError("A layer text takes input_size, not inputs.")
        return parse(model, size), model if len(model) <= 60 else model[:57] + "..."
    raise UsageError(f"isopter cannot read {_said(model)} Expected {READS}.")


def _said(model: Any) -> str:
    """What an object is that nothing reads, and what to do about it."""
    if isinstance(model, type):
        return f"the class {model.__name__}. Give an instance, such as {model.__name__}(...)."
    hint = " A function is read with JAX: import jax first." if callable(model) and "jax" not in sys.modules else ""
    return f"a {type(model).__module__}.{type(model).__name__}.{hint}"


def capture_of(name: str) -> Capture:
    """The package of the capture of a framework; importing it imports the framework only where it is used."""
    return cast(Capture, importlib.import_module(f"isopter.capture.{name}"))


def modules_of(model: Any) -> dict[Any, str]:
    """The modules or layers inside a model that its calls are named by, with their paths; none for other models."""
    if framework(model) == "keras" and not isinstance(model, str | Path):
        paths: dict[Any, str] = importlib.import_module("isopter.capture.keras").paths_of(model)
        return paths
    if not callable(getattr(model, "named_modules", None)):
        return {}
    return {module: path for path, module in reversed(list(model.named_modules())) if path}


def is_torch(model: Any) -> bool:
    """Whether it is a torch module; False without importing torch if nobody else has."""
    return _is(model, "torch", "nn", "Module")


def is_tensorflow(model: Any) -> bool:
    """Whether it is a tf.function, a concrete function, a tf.Module, or a SavedModel: its folder, or what tf.saved_model.load gave."""
    if isinstance(model, str | Path):
        return _is_saved_model(model)
    if "tensorflow" not in sys.modules:
        return False
    types = ("PolymorphicFunction", "ConcreteFunction")
    if _is(model, "tensorflow", "Module") or any(_is(model, "tensorflow", "types", "experimental", name) for name in types):
        return True
    return hasattr(model, "signatures") and type(model).__module__.startswith("tensorflow.")


def _is_saved_model(path: str | Path) -> bool:
    try:
        return (Path(path).expanduser() / "saved_model.pb").is_file()
    except (OSError, ValueError, RuntimeError):  # a layer text: too long for a name, or with signs that no name has
        return False


def is_file(model: Any, suffix: str) -> bool:
    """Whether it is a path that ends so, and no layer text."""
    return isinstance(model, str | Path) and str(model).lower().endswith(suffix) and not (isinstance(model, str) and "," in model)


def _is(model: Any, package: str, *path: str) -> bool:
    """Whether it is an instance of the class at `path` of a package; False where the package was not imported."""
    found: Any = sys.modules.get(package)
    for name in path:
        found = getattr(found, name, None)
    return isinstance(found, type) and isinstance(model, found)


def check_size(size: Sequence[int] | None) -> tuple[int, ...] | None:
    """`input_size` as a tuple of positive whole numbers."""
    if size is None:
        return None
    if isinstance(size, str | bytes | Mapping) or not isinstance(size, Sequence):
        raise UsageError(f"input_size={size!r} must be a tuple of whole numbers such as (1, 3, 224, 224).")
    numbers = tuple(size)
    if not numbers or any(isinstance(n, bool) or not hasattr(n, "__index__") or n.__index__() < 1 for n in numbers):
        raise UsageError(f"input_size={numbers} must hold whole numbers of 1 or more, such as (1, 3, 224, 224).")
    return tuple(n.__index__() for n in numbers)
