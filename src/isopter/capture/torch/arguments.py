"""What the calls of a serialized program hold: arguments as Python has them, and functions by name, from a list of harmless ones."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from isopter.errors import CaptureError

_OPERATORS = frozenset("getitem add sub mul floordiv truediv mod neg eq ne lt le gt ge and_ or_ not_".split())
_SYMBOLIC = frozenset("sym_max sym_min sym_int sym_float sym_not sym_ite".split())
_NAMESPACES = ("aten", "prims", "torchvision")
_FORBIDDEN = frozenset(["aten.from_file"])  # it opens, and can create, files

DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
    29: torch.float8_e4m3fn,
    30: torch.float8_e5m2,
}
_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}


def only(union: Mapping[str, Any]) -> tuple[str, Any]:
    """The one field of a union."""
    ((kind, value),) = union.items()
    return kind, value


def plain(argument: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """An argument as Python has it, with a Ref for each value of the program."""
    kind, value = only(argument)
    one = kind.removesuffix("s")
    if one in _SIMPLE:
        return _SIMPLE[one](value) if kind == one else [_SIMPLE[one](v) for v in value]
    match kind:
        case "as_none":
            return None
        case "as_tensor" | "name":
            return known[value["name"] if kind == "as_tensor" else value]
        case "as_name":
            return known[value]
        case "as_tensors" | "as_optional_tensors" | "as_sym_ints" | "as_sym_floats" | "as_sym_bools":
            return [plain(item, known) for item in value]
        case "as_optional_tensor" | "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return plain(value, known)
        case "as_nested_tensors":
            return [[known[item["name"]] for item in items] for items in value]
        case "as_int_lists":
            return [[int(v) for v in items] for items in value]
        case "as_float_lists":
            return [[float(v) for v in items] for items in value]
        case "as_complex":
            return complex(value["real"], value["imag"])
        case _:
            raise CaptureError(f"it holds an argument of the kind {kind[:40]!r}, which isopter does not read. Analyse the module itself.")


_SIMPLE: Mapping[str, Callable[[Any], Any]] = {
    "as_int": int,
    "as_float": float,
    "as_bool": bool,
    "as_string": str,
    "as_scalar_type": lambda v: DTYPES[v],
    "as_memory_format": lambda v: _FORMATS[v],
    "as_layout": lambda v: {7: torch.strided}[v],
    "as_device": lambda v: torch.device("cpu"),
}


def target(name: str) -> Callable[..., Any]:
    """What a call names, if it is one of PyTorch's own operators or a sum of sizes. Raises CaptureError."""
    if found := re.fullmatch(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", name):
        space, op, overload = found.groups()
        if space in _NAMESPACES and f"{space}.{op}" not in _FORBIDDEN:
            made = getattr(getattr(getattr(torch.ops, space), op, None), overload, None)
            if isinstance(made, torch._ops.OpOverload):
                return made
    elif (found := re.fullmatch(r"_operator\.(\w+)", name)) and found[1] in _OPERATORS:
        return getattr(operator, found[1])
    elif (found := re.fullmatch(r"torch\.(\w+)", name)) and found[1] in _SYMBOLIC:
        return getattr(torch, found[1])
    raise CaptureError(
        f"it calls {name[:80]!r}, and of a file isopter calls PyTorch's own operators alone. If you trust the file, load it yourself "
        "and give isopter.analyze the program: isopter.analyze(torch.export.load(path))."
    )
