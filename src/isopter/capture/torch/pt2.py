"""Files of torch.export.save, read as data: JSON and raw bytes in, a Program out.

``torch.export.load`` unpickles sample inputs and objects, evaluates shape expressions and generates code from names, so a
file can run whatever it likes. Here nothing is unpickled, evaluated or imported: a call is looked up by its name among
PyTorch's own operators, everything else is numbers.
"""

from __future__ import annotations

import json
import operator
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isopter.capture.torch.program import Program, Ref, Size, Step, scope_of, target_of
from isopter.errors import CaptureError, UsageError

SCHEMA = 8
"""Major version of the files this reads."""

LONGEST = 2**40
"""No axis of a tensor is longer: a larger number is damage."""

_OPERATORS = frozenset("getitem add sub mul floordiv truediv mod neg eq ne lt le gt ge and_ or_ not_".split())
_SYMBOLIC = frozenset("sym_max sym_min sym_int sym_float sym_not sym_ite".split())
_NAMESPACES = ("aten", "prims", "torchvision")
_FORBIDDEN = frozenset(["aten.from_file"])  # it opens, and can create, files

_DTYPES = {
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


def read_program(path: Path) -> Program:
    """The program in a file. Raises UsageError if there is none, and CaptureError if it is damaged, or holds what is not data."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Expected one written by torch.export.save.")
    try:
        with zipfile.ZipFile(path) as archive:
            return _program(_Archive(archive))
    except CaptureError as error:
        raise CaptureError(f"{path}: {error}") from error
    except (zipfile.BadZipFile, OSError, KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CaptureError(f"{path} is no program written by torch.export.save, or is damaged ({said}). Export the model again.") from error


class _Archive:
    """The records of a file; those of torch.export.save are never compressed."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.names = [info.filename for info in archive.infolist()]
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("it is compressed")
        models = [n for n in self.names if re.fullmatch(r"[^/]+/models/[^/]+\.json", n)]
        if len(models) != 1:
            raise CaptureError(
                f"it holds {len(models)} programs, and isopter reads files with one. If an old PyTorch wrote it, export the model again."
            )
        self.root, _, model = models[0].partition("/models/")
        self.model = model.removesuffix(".json")

    def json(self, name: str) -> Any:
        return json.loads(self.archive.read(f"{self.root}/{name}"))

    def tensors(self, folder: str, config: str) -> dict[str, Tensor]:
        """By name, the tensors of a folder that are stored as bytes; those stored as pickles are left out."""
        entries = self.json(f"data/{folder}/{self.model}_{config}_config.json")["config"]
        return {name: self._tensor(folder, e) for name, e in entries.items() if not e["use_pickle"] and e["tensor_meta"]}

    def _tensor(self, folder: str, entry: Mapping[str, Any]) -> Tensor:
        meta = entry["tensor_meta"]
        raw = bytearray(self.archive.read(f"{self.root}/data/{folder}/{entry['path_name']}"))
        dtype, sizes = _DTYPES[meta["dtype"]], _numbers(meta["sizes"])
        flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        return flat.as_strided(sizes, _numbers(meta["strides"]), meta["storage_offset"]["as_int"])


def _numbers(items: Any) -> list[int]:
    return [_length(item["as_int"]) for item in items]


def _length(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= LONGEST:
        raise ValueError(f"{value!r} is no length of a tensor")
    return value


def _program(archive: _Archive) -> Program:
    whole = archive.json(f"models/{archive.model}.json")
    if whole["schema_version"]["major"] != SCHEMA:
        raise CaptureError(
            f"it has schema version {whole['schema_version']['major']}, and isopter reads {SCHEMA}. Export the model again, or load it "
            "yourself and give isopter.analyze the program: isopter.analyze(torch.export.load(path))."
        )
    graph, signature = whole["graph_module"]["graph"], whole["graph_module"]["signature"]
    held = {**archive.tensors("weights", "weights"), **archive.tensors("constants", "constants")}
    values: dict[str, Any] = {}
    weights: set[str] = set()
    inputs: dict[str, tuple[tuple[Size, ...], torch.dtype]] = {}
    for kind, spec in map(_only, signature["input_specs"]):
        name = spec["name"] if kind == "constant_input" else _made(*_only(spec["arg"])) if kind == "user_input" else spec["arg"]["name"]
        target = spec.get(f"{kind}_name")
        if kind == "constant_input":
            values[name] = _plain(spec["value"], {})
        elif kind == "user_input" and name in graph["tensor_values"]:
            inputs[name] = _axes(graph["tensor_values"][name], whole["range_constraints"])
        elif kind == "user_input":  # a number
            values[name] = _only(graph["sym_int_values"][name]["as_expr"]["hint"])[1]
        elif kind in ("custom_obj", "token"):
            raise CaptureError("it holds objects besides tensors, and nothing in a file is unpickled. Analyse the module itself.")
        else:
            values[name] = held[target] if target in held else _shaped(graph["tensor_values"][name])
            if kind == "parameter" or target not in held:
                weights.add(name)
    steps: list[Step] = []
    results = _walk(graph, {name: Ref(name) for name in (*values, *inputs)}, "", steps)
    kinds = [_only(spec)[0] for spec in signature["output_specs"]]
    (call, *_) = (c for c in whole["graph_module"]["module_call_graph"] if not c["fqn"])
    return Program(
        name=_name(graph),
        steps=tuple(steps),
        inputs=inputs,
        values=values,
        weights=frozenset(weights),
        outputs=tuple(r for r, kind in zip(results, kinds, strict=True) if kind == "user_output"),
        build=_builder(json.loads(call["signature"]["out_spec"])[1]),
    )


def _shaped(meta: Mapping[str, Any]) -> Tensor:
    """A stand-in for a tensor that is stored as a pickle."""
    return torch.empty(_numbers(meta["sizes"]), dtype=_DTYPES[meta["dtype"]], device="meta")


def _only(union: Mapping[str, Any]) -> tuple[str, Any]:
    """The one field of a union."""
    ((kind, value),) = union.items()
    return kind, value


def _axes(meta: Mapping[str, Any], ranges: Mapping[str, Any]) -> tuple[tuple[Size, ...], torch.dtype]:
    return tuple(_axis(*_only(n), ranges) for n in meta["sizes"]), _DTYPES[meta["dtype"]]


def _axis(kind: str, value: Any, ranges: Mapping[str, Any]) -> Size:
    if kind == "as_int":
        return Size(_length(value), value, value)
    symbol = re.fullmatch(r"Symbol\('(\w+)'.*\)|(\w+)", value["expr_str"])
    allowed = ranges.get((symbol[1] or symbol[2]) if symbol else "") or {"min_val": 0, "max_val": None}
    hint, low, high = (value["hint"] or {}).get("as_int"), allowed["min_val"] or 0, allowed["max_val"]
    return Size(None if hint is None else _length(hint), _length(low), None if high is None else min(high, LONGEST))


def _walk(graph: Mapping[str, Any], bound: Mapping[str, Any], prefix: str, steps: list[Step]) -> list[Any]:
    """Append the calls of a graph to `steps`, and return what it returns. Blocks that only switch a mode are taken apart."""
    known = dict(bound)
    for node in graph["nodes"]:
        made = [_made(*_only(out)) for out in node["outputs"]]
        body = next((i["arg"]["as_graph"]["graph"] for i in node["inputs"] if "as_graph" in i["arg"]), None)
        if body is not None and node["target"].startswith("torch.ops.higher_order.wrap_with_"):
            at = next(k for k, i in enumerate(node["inputs"]) if "as_graph" in i["arg"])
            operands = [_plain(i["arg"], known) for i in node["inputs"][at + 1 :]]
            names = [_made(*_only(item)) for item in body["inputs"]]
            results = _walk(body, dict(zip(names, operands, strict=True)), f"{prefix}{len(steps)}/", steps)
            known.update(zip(_flat(made), results, strict=True))
            continue
        target = target_of(_target(node["target"]))
        if target is None:
            continue
        known.update((name, Ref(f"{prefix}{name}")) for name in _flat(made))
        args = tuple(_plain(i["arg"], known) for i in node["inputs"] if i["kind"] != 2)
        kwargs = {i["name"]: _plain(i["arg"], known) for i in node["inputs"] if i["kind"] == 2}
        result = _prefixed(made[0] if len(made) == 1 else made, prefix)
        steps.append(Step(target, args, kwargs, result, _scope(node["metadata"].get("nn_module_stack", ""))))
    return [_plain(out, known) for out in graph["outputs"]]


def _made(kind: str, value: Any) -> Any:
    """The name, or nested names, of an output of a call."""
    if kind == "as_none":
        return None
    if isinstance(value, list):
        return [_made("", v) if "name" in v or "as_name" in v else _made(*_only(v)) for v in value]
    return value.get("name") or value["as_name"]


def _flat(made: Any) -> Iterator[str]:
    if isinstance(made, str):
        yield made
    elif isinstance(made, list):
        for item in made:
            yield from _flat(item)


def _prefixed(made: Any, prefix: str) -> Any:
    if isinstance(made, list):
        return [_prefixed(item, prefix) for item in made]
    return made if made is None else f"{prefix}{made}"


def _plain(argument: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """An argument as Python has it, with a Ref for each value of the program."""
    kind, value = _only(argument)
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
            return [_plain(item, known) for item in value]
        case "as_optional_tensor" | "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _plain(value, known)
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
    "as_scalar_type": lambda v: _DTYPES[v],
    "as_memory_format": lambda v: _FORMATS[v],
    "as_layout": lambda v: {7: torch.strided}[v],
    "as_device": lambda v: torch.device("cpu"),
}


def _target(name: str) -> Callable[..., Any]:
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


def _scope(stack: str) -> tuple[str, ...]:
    """From ``key,path,class;key,path,class``."""
    entries = [entry.split(",") for entry in stack.split(";")]
    return scope_of((e[0], e[1]) for e in entries if len(e) > 2 and not e[0].startswith("_empty_nn_module_stack"))


def _name(graph: Mapping[str, Any]) -> str:
    """The class of the module it was exported from."""
    for node in graph["nodes"]:
        if found := re.match(r"[^,;]*,,([\w.]+)", node["metadata"].get("nn_module_stack", "")):
            return str(found[1]).rpartition(".")[2]
    return "ExportedProgram"


def _builder(spec: Mapping[str, Any]) -> Callable[[list[Any]], Any]:
    """Puts outputs into dicts by their keys; every other structure is a sequence."""

    def build(node: Mapping[str, Any], leaves: Iterator[Any]) -> Any:
        if node["type"] is None:
            return next(leaves)
        children = [build(child, leaves) for child in node["children_spec"]]
        keys = json.loads(node["context"]) if node["context"] else None
        if isinstance(keys, list) and len(keys) == len(children) > 0 and all(isinstance(k, str) for k in keys):
            return dict(zip(keys, children, strict=True))
        return children

    return lambda values: build(spec, iter(values))
