"""Programs of torch.export: an ExportedProgram in, a Program out."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument
from torch.utils import _pytree as pytree

from isopter.capture.torch.program import Program, Ref, Size, Step, scope_of, target_of
from isopter.errors import CaptureError


def program_of(exported: ExportedProgram) -> Program:
    """The calls of an exported program as they stand, decomposed or not; nothing is run. Raises CaptureError for control flow."""
    signature = exported.graph_signature
    placeholders = {node.name: node for node in exported.graph.nodes if node.op == "placeholder"}
    held = {**exported.state_dict, **exported.constants}
    values: dict[str, Any] = {}
    weights: set[str] = set()
    inputs: dict[str, tuple[tuple[Size, ...], torch.dtype]] = {}
    for spec in signature.input_specs:
        name, example = spec.arg.name, placeholders[spec.arg.name].meta.get("val")
        if isinstance(spec.arg, ConstantArgument):
            values[name] = spec.arg.value
        elif spec.kind is not InputKind.USER_INPUT:
            values[name] = _known(held.get(spec.target or ""))
            if spec.kind is InputKind.PARAMETER or isinstance(held.get(spec.target or ""), FakeTensor):
                weights.add(name)
        elif isinstance(spec.arg, TensorArgument) and isinstance(example, Tensor):
            inputs[name] = (tuple(_axis(n, exported.range_constraints) for n in example.shape), example.dtype)
        else:
            values[name] = _hint(example)
    steps: list[Step] = []
    results = _walk(exported.graph_module, {name: Ref(name) for name in placeholders}, "", steps)
    returned = tuple(r for r, s in zip(results, signature.output_specs, strict=True) if s.kind is OutputKind.USER_OUTPUT)
    spec_out = exported.call_spec.out_spec
    return Program(
        name=_name(exported),
        steps=tuple(steps),
        inputs=inputs,
        values=values,
        weights=frozenset(weights),
        outputs=returned,
        build=lambda leaves: pytree.tree_unflatten(leaves, spec_out) if spec_out is not None else tuple(leaves),
    )


def _walk(module: fx.GraphModule, bound: Mapping[str, Any], prefix: str, steps: list[Step]) -> list[Any]:
    """Append the calls of a graph to `steps`, and return what it returns. Blocks that only switch a mode are taken apart."""
    known: dict[fx.Node, Any] = {}

    def plain(item: Any) -> Any:
        if isinstance(item, fx.Node):
            return known[item]
        if isinstance(item, torch.device):
            return torch.device("cpu")
        if isinstance(item, Mapping):
            return {k: plain(v) for k, v in item.items()}
        return type(item)(map(plain, item)) if type(item) is tuple else list(map(plain, item)) if isinstance(item, list) else item

    for node in module.graph.nodes:
        args, kwargs = plain(node.args), plain(node.kwargs)
        body = next((a for a in args if isinstance(a, fx.GraphModule)), None)
        if node.op == "placeholder":
            known[node] = bound[node.name]
        elif node.op == "get_attr":
            known[node] = operator.attrgetter(node.target)(module)
        elif node.op == "output":
            return list(args[0]) if isinstance(args[0], list | tuple) else [args[0]]
        elif body is not None and str(node.target).startswith("wrap_with_"):
            names = [n.name for n in body.graph.nodes if n.op == "placeholder"]
            operands = args[args.index(body) + 1 :]
            known[node] = _walk(body, dict(zip(names, operands, strict=True)), f"{prefix}{node.name}/", steps)
        elif body is not None or node.op != "call_function":
            raise CaptureError(f"The program holds {node.target}, whose path depends on values. Analyse the module itself.")
        elif node.target is operator.getitem and isinstance(args[0], list):
            known[node] = args[0][args[1]]
        elif (target := target_of(node.target)) is not None:
            stack = node.meta.get("nn_module_stack") or {}
            scope = scope_of((key, path) for key, (path, _) in stack.items())
            steps.append(Step(target, args, kwargs, f"{prefix}{node.name}", scope))
            known[node] = Ref(f"{prefix}{node.name}")
    return []


def _known(value: Any) -> Any:
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta") if isinstance(value, FakeTensor) else value


def _axis(length: Any, ranges: Mapping[Any, Any]) -> Size:
    if isinstance(length, int):
        return Size(length, length, length)
    allowed = ranges.get(length.node.expr)
    low, high = (_whole(allowed.lower), _whole(allowed.upper)) if allowed is not None else (None, None)
    return Size(_hint(length), low or 0, high)


def _whole(bound: Any) -> int | None:
    return int(bound) if getattr(bound, "is_Integer", False) else None  # not: the infinities


def _hint(value: Any) -> Any:
    return value.node.hint if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool) else value


def _name(exported: ExportedProgram) -> str:
    """The class of the module it was exported from."""
    for node in exported.graph.nodes:
        for path, kind in (node.meta.get("nn_module_stack") or {}).values():
            if not path:
                return str(kind).rpartition(".")[2].strip("'>")
    return "ExportedProgram"
