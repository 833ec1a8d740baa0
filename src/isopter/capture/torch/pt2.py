"""Files of torch.export.save, read as data: JSON and raw bytes in, a Program out.

``torch.export.load`` unpickles sample inputs and objects, evaluates shape expressions and generates code from names, so a
file can run whatever it likes. Here nothing is unpickled, evaluated or imported: a call is looked up by its name among
PyTorch's own operators, everything else is numbers.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isopter.capture.torch.arguments import DTYPES, only, plain, target
from isopter.capture.torch.program import Program, Ref, Size, Step, scope_of, target_of
from isopter.errors import CaptureError, UsageError

SCHEMA = 8
"""Major version of the files this reads."""

LONGEST = 2**40
"""No axis of a tensor is longer: a larger number is damage."""


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
        dtype, sizes = DTYPES[meta["dtype"]], _numbers(meta["sizes"])
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
    for kind, spec in map(only, signature["input_specs"]):
        name = spec["name"] if kind == "constant_input" else _made(*only(spec["arg"])) if kind == "user_input" else spec["arg"]["name"]
        path = spec.get(f"{kind}_name")
        if kind == "constant_input":
            values[name] = plain(spec["value"], {})
        elif kind == "user_input" and name in graph["tensor_values"]:
            inputs[name] = _axes(graph["tensor_values"][name], whole["range_constraints"])
        elif kind == "user_input":  # a number
            values[name] = only(graph["sym_int_values"][name]["as_expr"]["hint"])[1]
        elif kind in ("custom_obj", "token"):
            raise CaptureError("it holds objects besides tensors, and nothing in a file is unpickled. Analyse the module itself.")
        else:
            values[name] = held[path] if path in held else _shaped(graph["tensor_values"][name])
            if kind == "parameter" or path not in held:
                weights.add(name)
    steps: list[Step] = []
    results = _walk(graph, {name: Ref(name) for name in (*values, *inputs)}, "", steps)
    kinds = [only(spec)[0] for spec in signature["output_specs"]]
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
    return torch.empty(_numbers(meta["sizes"]), dtype=DTYPES[meta["dtype"]], device="meta")


def _axes(meta: Mapping[str, Any], ranges: Mapping[str, Any]) -> tuple[tuple[Size, ...], torch.dtype]:
    return tuple(_axis(*only(n), ranges) for n in meta["sizes"]), DTYPES[meta["dtype"]]


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
        made = [_made(*only(out)) for out in node["outputs"]]
        body = next((i["arg"]["as_graph"]["graph"] for i in node["inputs"] if "as_graph" in i["arg"]), None)
        if body is not None and node["target"].startswith("torch.ops.higher_order.wrap_with_"):
            at = next(k for k, i in enumerate(node["inputs"]) if "as_graph" in i["arg"])
            operands = [plain(i["arg"], known) for i in node["inputs"][at + 1 :]]
            names = [_made(*only(item)) for item in body["inputs"]]
            results = _walk(body, dict(zip(names, operands, strict=True)), f"{prefix}{len(steps)}/", steps)
            known.update(zip(_flat(made), results, strict=True))
            continue
        call = target_of(target(node["target"]))
        if call is None:
            continue
        known.update((name, Ref(f"{prefix}{name}")) for name in _flat(made))
        args = tuple(plain(i["arg"], known) for i in node["inputs"] if i["kind"] != 2)
        kwargs = {i["name"]: plain(i["arg"], known) for i in node["inputs"] if i["kind"] == 2}
        result = _prefixed(made[0] if len(made) == 1 else made, prefix)
        steps.append(Step(call, args, kwargs, result, _scope(node["metadata"].get("nn_module_stack", ""))))
    return [plain(out, known) for out in graph["outputs"]]


def _made(kind: str, value: Any) -> Any:
    """The name, or nested names, of an output of a call."""
    if kind == "as_none":
        return None
    if isinstance(value, list):
        return [_made("", v) if "name" in v or "as_name" in v else _made(*only(v)) for v in value]
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
