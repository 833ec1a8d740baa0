"""From a model's name on the command line to the model: ``module:factory``, ``file.py:Net``, ``timm:NAME``, a file, or a layer text.

A ``module:factory`` or ``file.py:Net`` **runs the user's code**: importing it, then calling the class or function without
arguments. Pickled checkpoints are never opened, since opening one runs whatever code it holds.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from isopter.capture.dispatch import READS, framework, is_tensorflow
from isopter.capture.grammar import WORDS
from isopter.capture.guard import user_code
from isopter.capture.zoos import ZOOS, named_model, zoo_of
from isopter.errors import UsageError

_MISSING = object()

FORMS = (
    "pkg.module:factory, file.py:Net, torchvision:NAME, timm:NAME, keras:NAME, a program written by torch.export.save (x.pt2), "
    "an ONNX model (x.onnx), a model saved by Keras (x.keras), the folder of a SavedModel, "
    'an analysis written by to_json (x.json), or a layer text such as "conv 3 p1, pool 2 s2"'
)

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
_OTHER = (".safetensors", ".tflite", ".pb")
_OLD = (".h5", ".hdf5")
_SPEC = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<attribute>[^\W\d][\w.]*)")
_FILE_SPEC = re.compile(r"(?P<path>.+\.py)(?::(?P<attribute>.*))?", re.DOTALL)


def load_model(spec: str, pretrained: bool = False) -> object:
    """The model that `spec` names: a torch module, the path of a program's file, or the text itself if it is a layer text.

    Runs the user's code for ``pkg.module:factory`` and ``file.py:Net``; the current folder, or the file's, is put on ``sys.path``
    and stays there. A model of a zoo has random weights, unless `pretrained` (then they may be downloaded). Raises UsageError
    where the spec is wrong, MissingExtra without the zoo's package, and CaptureError, with file and line, where the user's code fails.
    """
    text = spec.strip()
    if not text:
        raise UsageError(f"MODEL is empty. Expected {FORMS}.")
    if zoo_of(text):
        return named_model(text, pretrained)
    if pretrained:
        raise UsageError(f"--pretrained is for models by name ({', '.join(f'{zoo}:NAME' for zoo in ZOOS)}), and {spec!r} is none.")
    stem = text.partition(".py:")[0] if ".py:" in text else re.sub(r":[\w.]*$", "", text)
    suffix = Path(stem).suffix.lower() if "\n" not in stem and "," not in stem else ""
    if suffix in PICKLES:
        raise UsageError(
            f"{stem} is a pickled checkpoint: opening it can run any code, and it may hold no architecture. "
            "Name the code that builds the model instead, such as file.py:Net."
        )
    if suffix in _OTHER:
        raise UsageError(f"{stem}: this version of isopter does not read {suffix} files. Expected {FORMS}.")
    if suffix in _OLD:
        raise UsageError(
            f"{stem}: HDF5 files of Keras may hold pickled code, or weights alone. "
            "Load it in Keras and save it as x.keras, or name the code that builds the model, such as file.py:Net."
        )
    if suffix in (".pt2", ".onnx", ".keras"):
        return existing(text)
    if "\n" not in text and is_tensorflow(text):
        return Path(text).expanduser()
    if suffix == ".json":
        raise UsageError(f"{existing(text)} is no model but perhaps a saved analysis. Read it with isopter.load.")
    if file := _FILE_SPEC.fullmatch(text):
        return _from_file(existing(file["path"]), file["attribute"] or "")
    if (named := _SPEC.fullmatch(text)) and not _is_layer(named["attribute"], named["module"]):
        return _from_module(named["module"], named["attribute"])
    if _looks_like_path(text):
        raise UsageError(f"{spec!r} looks like a path, and is no model that isopter reads. Expected {FORMS}.")
    if re.fullmatch(r"[^\W\d][\w.\-]*", text) and text.lower() not in WORDS and ("." in text or _no_near_word(text)):
        head, _, tail = text.rpartition(".")
        hint = f"Did you mean {head}:{tail}? " if head else ""
        raise UsageError(f"{text!r} is no model that isopter knows. {hint}Expected {FORMS}.")
    return text


def _no_near_word(text: str) -> bool:
    return not difflib.get_close_matches(text.lower(), WORDS, n=1, cutoff=0.6)


def _is_layer(attribute: str, module: str) -> bool:
    """``act:relu`` is a named layer unless there is a module of that name."""
    return attribute.lower() in WORDS and "." not in module and not _finds(module)


def _finds(module: str) -> bool:
    if Path(f"{module}.py").exists() or Path(module).is_dir():
        return True
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _looks_like_path(text: str) -> bool:
    if "/" in text or "\\" in text:
        return True
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or a zero byte
        return False


def existing(path: str) -> Path:
    """The file at `path`. Raises UsageError if there is none."""
    try:
        found = Path(path).expanduser()
        if found.is_file():
            return found
        what = "is a folder" if found.is_dir() else "does not exist"
    except (OSError, ValueError, RuntimeError):
        what = "is no valid path"
    raise UsageError(f"The file {path!r} {what}. Expected {FORMS}.")


def _from_file(path: Path, attribute: str) -> object:
    if not re.fullmatch(r"[^\W\d][\w.]*", attribute):
        defined = _defined(path)
        names = f"It defines: {', '.join(defined[:8])}." if defined else "It defines no class and no function."
        problem = f"{attribute!r} is no name of a class or function without arguments" if attribute else "the name after ':' is missing"
        raise UsageError(f"{path}: {problem}. Expected {path}:{defined[0] if defined else 'Net'}. {names}")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"_isopter_{path.stem}"  # not the bare stem: a user's random.py must not stand in for the library's

    def run() -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, path.resolve())
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickling look a class's module up by name
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    return _build(user_code(run, f"importing {path}"), attribute, str(path))


def _defined(path: Path) -> list[str]:
    """Names of the classes and functions of a file, read without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return []
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")]


def _from_module(name: str, attribute: str) -> object:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = user_code(lambda: importlib.import_module(name), f"importing {name}", missing=name)
    except ModuleNotFoundError:
        raise UsageError(f"There is no module {name!r}, from here or installed. Expected {FORMS}.") from None
    return _build(module, attribute, name)


def _build(module: ModuleType, attribute: str, where: str) -> object:
    """The model that `attribute` is, or makes when called without arguments. A function of one array is a model of JAX."""
    found: object = module
    for part in attribute.split("."):
        found, holder = user_code(lambda: getattr(found, part, _MISSING), f"looking up {where}:{attribute}"), found  # noqa: B023
        if not part or found is _MISSING:
            near = difflib.get_close_matches(part, [n for n in dir(holder) if not n.startswith("__")], n=3, cutoff=0.5)
            hint = f" Nearest: {', '.join(near)}." if near else ""
            raise UsageError(f"{where} has no {attribute!r}.{hint} Expected the name of a class or function without arguments.")
    of = framework(found)
    if of not in (None, "jax"):
        return found
    if not callable(found):
        raise UsageError(f"{where}:{attribute} is a {type(found).__name__}. Expected a model, or a function that makes one.")
    needed = _needed(found)
    if of == "jax" and len(needed) == 1:
        return found
    if needed:
        raise UsageError(
            f"{where}:{attribute} needs arguments ({', '.join(needed)}), and isopter gives none. "
            f"Write a function without arguments that returns the model, and name that."
        )
    made = user_code(found, f"calling {where}:{attribute}()")
    if framework(made) is None:
        raise UsageError(f"{where}:{attribute}() returned a {type(made).__name__}. Expected {READS}.")
    return made


def _needed(function: Callable[..., object]) -> list[str]:
    """Names of the arguments that have no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
