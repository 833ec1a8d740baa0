"""Files that Keras 3 saved (``model.keras``), read without running anything that is not Keras' own.

Such a file is a zip archive: the layers as JSON, weights as HDF5. Keras finds classes by the module names in the JSON, so a file can
make it import anything; here only Keras' own classes are let through, and those that the user has registered. Layers that hold code
(`Lambda`), pickled modules or paths of other files are refused.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from isopter.errors import CaptureError, UsageError

CONFIG_SIZE = 64 * 2**20
"""Bytes: the largest networks there are take a few million."""

WEIGHTS_SIZE = 256 * 2**30
EXPANSION = 50
"""Weights hardly shrink when they are compressed; zeros do, a thousandfold, and nobody stores only those."""

HAS_CODE = {
    "Lambda": "a Lambda layer, which holds Python code",
    "__lambda__": "a Python function",
    "TorchModuleWrapper": "a pickled module of PyTorch",
    "TFSMLayer": "the path of a SavedModel",
    "JaxLayer": "a function of JAX",
    "FlaxLayer": "a module of Flax",
}
OWN = re.compile(
    r"keras(\.src)?(\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies|random|ops|quantizers)(\.\w+)*)?"
)
"""Modules of Keras that have to do with the structure of a network."""

FUNCTIONS = ("activations", "initializers", "regularizers", "constraints")
"""Where Keras looks for a function that a file names."""

PLAIN = frozenset("__keras_tensor__ __tensor__ __numpy__ __bytes__ __slice__ __ellipsis__ __tuple__ __complex__".split())
"""What Keras calls values that are no objects."""


def read_model(path: Path) -> Any:
    """The model in a ``.keras`` file, not compiled. Raises UsageError where there is no file, CaptureError for one that is refused,
    damaged, or cannot be loaded."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"The file {str(path)!r} {what}. Expected a model saved by Keras 3.")
    try:
        config = _config(path)
        for where, found in _objects(config, "", 0):
            _admitted(path, where, found)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except CaptureError:
        raise
    except RecursionError:
        raise CaptureError(f"{path}: its layers are nested deeper than Python can follow. The file is damaged.") from None
    except Exception as error:  # a damaged file may raise anything, from any library that reads a part of it
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        hint = "Load it yourself with keras.saving.load_model to see the error."
        raise CaptureError(f"{path}: Keras could not load it ({said}). {hint}") from error


def _config(path: Path) -> Any:
    """The JSON of the layers, once the archive is sound."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _member(path, member)
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise CaptureError(f"{path} is no model saved by Keras 3, or is cut short ({said}). Save it again with model.save.") from error


def _member(path: Path, member: zipfile.ZipInfo) -> None:
    name, size = member.filename, member.file_size
    if name.startswith(("/", "\\")) or ":" in name or ".." in re.split(r"[/\\]", name):
        raise CaptureError(f"{path}: it holds a file called {name!r}, outside of itself. Such a file is not opened.")
    limit = CONFIG_SIZE if name.endswith(".json") else WEIGHTS_SIZE
    if size > limit or (size > 2**24 and size > EXPANSION * max(member.compress_size, 1)):
        raise CaptureError(f"{path}: {name} would take {size:,} bytes, from {member.compress_size:,}. Such a file is not opened.")


def _objects(config: Any, where: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything in a config that Keras would make an object of, with the name of the layer that it is in."""
    if isinstance(config, list):
        for item in config:
            yield from _objects(item, where, depth + 1)
    elif isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            where = inner["name"]
        if "class_name" in config:
            yield where, config
        for key, item in config.items():
            if key != "compile_config":  # losses and metrics, which are not loaded
                yield from _objects(item, where, depth + 1)


def _admitted(path: Path, where: str, found: dict[str, Any]) -> None:
    """Raise CaptureError for an object that is not Keras' own, and that the user has not registered."""
    kind, module, registered = found.get("class_name"), found.get("module"), found.get("registered_name")
    place = f" ({where})" if where else ""
    if not isinstance(kind, str):
        raise CaptureError(f"{path}: a class{place} is called {kind!r}. The file is damaged.")
    if kind in PLAIN:
        return
    if kind in HAS_CODE:
        raise CaptureError(
            f"{path}: it holds {HAS_CODE[kind]}{place}, and isopter runs no code from files. "
            "If you trust it, load it with keras.saving.load_model and analyse the model."
        )
    if kind == "function":
        kind, module = str(found.get("config")), None
        if any(hasattr(getattr(keras, own), kind) for own in FUNCTIONS):
            return
        registered = kind
    names = [name for name in (registered, kind) if isinstance(name, str)]
    if isinstance(module, str) and OWN.fullmatch(module):
        return
    if not any(keras.saving.get_registered_object(name) is not None for name in names):
        of = f" of {module!r}" if isinstance(module, str) and module != "builtins" else ""
        raise CaptureError(
            f"{path}: {kind!r}{of}{place} is not of Keras itself, and loading it would run other code. Import its code first if that "
            "registers it (keras.saving.register_keras_serializable), or load the model yourself and analyse that."
        )
