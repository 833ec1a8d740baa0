"""What can be traced: a function, and modules of Flax and Equinox as functions of their weights and inputs."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isopter.capture.jax.marks import listening
from isopter.errors import UsageError

FLAGS = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}
"""Arguments of a linen module's call that say whether it trains, and what they are then."""


@dataclass(frozen=True)
class Subject:
    """A model as ``run(weights, *args, **kwargs)``. `weights` is a tree of arrays, or of their shapes. `call` has the signature, whose
    arguments are the inputs. `extra`: arguments that the mode decides."""

    run: Callable[..., Any]
    weights: Any
    name: str
    call: Callable[..., Any]
    extra: Mapping[str, Any] = field(default_factory=dict)
    bare: bool = False


def subject_of(model: Any, training: bool) -> Subject:
    """A model as a function of its weights. Raises UsageError where `training` has no meaning."""
    if _is(model, "flax.nnx", "Module"):
        return _nnx(model, training)
    if _is(model, "flax.linen", "Module"):
        return _linen(model, training)
    if _is(model, "equinox", "Module") and not _is(model, "equinox", "Partial"):
        return _equinox(model, training)
    if training:
        raise UsageError("training=True has a meaning for modules. A function says itself what it does: analyse one that trains.")
    return _function(model)


def _is(model: Any, module: str, name: str) -> bool:
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(model, found)


def _function(model: Any) -> Subject:
    name = getattr(model, "__name__", "") or getattr(getattr(model, "func", None), "__name__", "") or type(model).__name__
    if isinstance(model, functools.partial) and model.args and getattr(model.func, "__name__", "") == "apply":
        owner = getattr(model.func, "__self__", None)
        if _is(owner, "flax.linen", "Module") and isinstance(model.args[0], Mapping):
            rest = functools.partial(model.func, **model.keywords)

            def apply(weights: Any, *args: Any, **kwargs: Any) -> Any:
                return rest(weights, *model.args[1:], *args, **kwargs)

            call = functools.partial(_unbound(owner), *model.args[1:], **_known(owner, model))
            return Subject(apply, model.args[0], type(owner).__name__, call)
    modules = _closed_over(model)
    return Subject(lambda _, *args, **kwargs: _listened(modules, lambda: model(*args, **kwargs)), None, name, model)


def _known(owner: Any, model: functools.partial[Any]) -> dict[str, Any]:
    parameters = inspect.signature(_unbound(owner)).parameters
    return {k: v for k, v in model.keywords.items() if k in parameters}


def _unbound(module: Any) -> Callable[..., Any]:
    """The signature of a module's call, without the module itself."""
    return functools.partial(type(module).__call__, module)


def _listened(modules: Mapping[int, tuple[object, str]], run: Callable[[], Any]) -> Any:
    with listening(modules):
        return run()


def _closed_over(model: Any) -> dict[int, tuple[object, str]]:
    """Modules of nnx and Equinox that a function closes over, by id; those inside them by their paths."""
    cells = [c.cell_contents for c in getattr(model, "__closure__", None) or () if _filled(c)]
    if isinstance(model, functools.partial):
        cells += [*model.args, *model.keywords.values()]
    wrapped = getattr(model, "__globals__", {})
    names = getattr(getattr(model, "__code__", None), "co_names", ())
    cells += [wrapped[n] for n in names if n in wrapped]
    found: dict[int, tuple[object, str]] = {}
    for cell in cells:
        if _is(cell, "flax.nnx", "Module"):
            found |= nnx_paths(cell)
        elif _is(cell, "equinox", "Module"):
            found |= equinox_paths(cell)
    return found


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _paths(model: Any, module: type, *leaves: type) -> dict[int, tuple[object, str]]:
    """Each `module` in a model by its id, with the first path to it. Lists and dicts are looked through, and `leaves` are not."""
    found: dict[int, tuple[object, str]] = {}
    left: list[tuple[Any, str]] = [(model, "")]
    while left:
        node, path = left.pop()
        if isinstance(node, module):
            if id(node) in found:
                continue
            found[id(node)] = (node, path)
            children = [(k, v) for k, v in vars(node).items() if not k.startswith("_pytree__")]  # what nnx keeps for itself
        elif isinstance(node, list | tuple):
            children = [(str(k), v) for k, v in enumerate(node)]
        elif isinstance(node, dict):
            children = [(str(k), v) for k, v in node.items()]
        else:
            continue
        left += [(v, f"{path}.{k}" if path else k) for k, v in reversed(children) if not isinstance(v, leaves)]
    return found


# ---- Flax nnx --------------------------------------------------------------------------------------------------------------


def _nnx(model: Any, training: bool) -> Subject:
    """The module is split, and put together again of abstract weights inside the trace: it is never changed."""
    import jax
    from flax import nnx

    split: Any = nnx.split
    definition, weights, rest = split(model, (nnx.Param, nnx.BatchStat), ...)

    abstract = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(rest))

    def run(weights: Any, *args: Any, **kwargs: Any) -> Any:
        own, others = weights if abstract else (weights, jax.tree.map(lambda x: x, rest))
        copy = nnx.merge(definition, own, others)
        modules = nnx_paths(copy)
        _in_mode(modules, training)
        return _listened(modules, lambda: copy(*args, **kwargs))

    return Subject(run, (weights, rest) if abstract else weights, type(model).__name__, _unbound(model))


def _in_mode(modules: Mapping[int, tuple[object, str]], training: bool) -> None:
    """What ``Module.train`` and ``Module.eval`` do, for modules at hand."""
    for module, _ in modules.values():
        for flag in ("deterministic", "use_running_average"):
            if hasattr(module, flag):
                setattr(module, flag, not training)


def nnx_paths(model: Any) -> dict[int, tuple[object, str]]:
    """Each module in a module by its id, with its path: ``layer1.0.conv1``. Lists and dicts are looked through."""
    from flax import nnx

    found = _paths(model, nnx.Module, nnx.Variable)
    return {key: value for key, value in found.items() if not isinstance(value[0], nnx.List | nnx.Dict)}


# ---- Flax linen ------------------------------------------------------------------------------------------------------------


def _linen(model: Any, training: bool) -> Subject:
    """A bound module has its weights; those of another are made as they are asked for, without numbers."""
    from flax.core.scope import DenyList

    name, call = type(model).__name__, _unbound(model)
    flags = {k: v if training else not v for k, v in FLAGS.items() if k in inspect.signature(call).parameters}
    if training and not flags:
        raise UsageError(f"The call of {name} has no argument that says whether it trains (such as {', '.join(FLAGS)}).")
    import jax

    bare = model.scope is None
    weights = None
    if not bare:
        model, weights = model.unbind()
    keys = ("dropout", "params") if bare else ("dropout",)

    def run(weights: Any, *args: Any, **kwargs: Any) -> Any:
        rngs = {key: jax.random.key(0) for key in keys}
        mutable = True if bare else DenyList("params")
        return model.apply(weights or {}, *args, rngs=rngs, mutable=mutable, **kwargs)[0]

    return Subject(run, weights, name, call, flags, bare)


# ---- Equinox ---------------------------------------------------------------------------------------------------------------


def _equinox(model: Any, training: bool) -> Subject:
    """Arrays of real numbers in a module are its weights; other arrays are known."""
    import equinox as eqx
    import jax

    def is_weight(leaf: Any) -> bool:
        return bool(eqx.is_inexact_array(leaf)) or isinstance(leaf, jax.ShapeDtypeStruct)

    weights, rest = eqx.partition(eqx.nn.inference_mode(model, value=not training), is_weight)

    def run(weights: Any, *args: Any, **kwargs: Any) -> Any:
        copy = eqx.combine(weights, rest)
        return _listened(equinox_paths(copy), lambda: copy(*args, **kwargs))

    return Subject(run, weights, type(model).__name__, _unbound(model))


def equinox_paths(model: Any) -> dict[int, tuple[object, str]]:
    """Each module in a module by its id, with its path: ``layers.0.conv``. Lists and dicts are looked through."""
    import equinox as eqx

    found = _paths(model, eqx.Module)
    sequences = getattr(eqx.nn, "Sequential", ())
    names = {path: type(node) for node, path in found.values()}
    return {key: (node, _short(path, names, sequences)) for key, (node, path) in found.items()}


def _short(path: str, types: Mapping[str, type], sequences: Any) -> str:
    """Without the field that holds the layers of a Sequential: ``downsample.layers.0`` is ``downsample.0``."""
    parts = path.split(".")
    kept: list[str] = []
    for at, part in enumerate(parts):
        owner = types.get(".".join(parts[:at]))
        if part == "layers" and owner is not None and issubclass(owner, sequences) and at + 1 < len(parts):
            continue
        kept.append(part)
    return ".".join(kept)
