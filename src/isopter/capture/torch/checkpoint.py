"""Weights from a file into a model. A file is data: nothing in it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from isopter.capture.torch.weights import printable, read_weights
from isopter.errors import UsageError

NAMES = (
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights", "params",
    "state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema",
)  # fmt: skip
"""Where training scripts keep the weights in what they save; where there are several, the first that fits is taken, averages last."""

WRAPPERS = ("module.", "model.", "_orig_mod.")
"""What DataParallel, Lightning and torch.compile put before the names of all weights."""

DEEPEST = 4
"""Dicts in dicts, and wrappers around wrappers: no script goes that deep, and a file may go on for ever."""

State = dict[str, Any]


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Put the weights in a file into `model`: all of them, or none.

    Read are the files of torch.save (.pt, .pth, .ckpt, .bin; by torch.load with weights_only=True) and of safetensors. A file may hold
    the weights alone, or a dict with them under one of NAMES; prefixes of WRAPPERS are taken off the names where they then fit.

    Raises UsageError where the file is no such file, is damaged, would have to run code, or where names and shapes are not exactly
    those of the model, which then is as it was; MissingExtra for .safetensors without that package.
    """
    found = Path(path).expanduser()
    expected = model.state_dict()
    candidates = [named for state in _states(read_weights(found), set()) for named in _renamed(state, expected)]
    if not candidates:
        raise UsageError(f"{found} holds no weights by name. Expected a state dict, or a dict with one under {', '.join(NAMES[:4])}, ….")
    best = min(candidates, key=lambda state: len(_problems(state, expected)))  # the first of the best
    kept = {name: value.clone() for name, value in expected.items() if isinstance(value, Tensor) and not is_lazy(value)}
    try:
        model.load_state_dict(best, strict=True)  # and not only where no problem is seen: a model's hooks may translate old names
    except Exception as error:  # a hook of the model's may raise anything
        model.load_state_dict(kept, strict=False)
        raise UsageError(_mismatch(found, model, _problems(best, expected), error)) from error


def _states(loaded: Any, seen: set[int], depth: int = 0) -> Iterator[State]:
    """The state dicts in what was loaded: itself, then those under NAMES, in that order; each once."""
    if not isinstance(loaded, Mapping) or id(loaded) in seen or depth > DEEPEST:
        return
    seen.add(id(loaded))
    state = {k: v for k, v in loaded.items() if isinstance(k, str) and (isinstance(v, Tensor) or k.endswith("_extra_state"))}
    if state:
        yield state
    for name in NAMES:
        if name in loaded:
            yield from _states(loaded[name], seen, depth + 1)


def _renamed(state: State, expected: Mapping[str, Any]) -> Iterator[State]:
    """The state as it is, then with what wrappers put before its names taken off, one after the other."""
    yield state
    inner = {name.replace("_orig_mod.", ""): value for name, value in state.items()}
    if len(inner) == len(state) and inner.keys() != state.keys():  # parts of a model can be compiled, too
        yield inner
        state = inner
    for _ in range(DEEPEST):
        prefix = next((w for w in WRAPPERS if all(name.startswith(w) for name in state)), None)
        if prefix is None:
            return
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        yield state


def _problems(state: State, expected: Mapping[str, Any]) -> list[str]:
    """What does not fit, in words: names that are missing, shapes that differ, names that nobody expects."""
    missing = [f"{name} is missing" for name in expected if name not in state]
    differ = [
        f"{name} has shape {tuple(state[name].shape)}, and the model's has {tuple(value.shape)}"
        for name, value in expected.items()
        if isinstance(value, Tensor) and not is_lazy(value) and isinstance(state.get(name), Tensor) and state[name].shape != value.shape
    ]
    return missing + differ + [f"{printable(name[:80])} is not in the model" for name in state if name not in expected]


def _mismatch(path: Path, model: nn.Module, problems: list[str], error: Exception) -> str:
    """The first few problems of each kind, and how many there are; what torch said if none was seen."""
    counts, shown = list[str](), list[str]()
    for end, what in ((" is missing", "missing"), ("", "of another shape"), (" is not in the model", "not in the model")):
        rows = [p for p in problems if (p.endswith(end) if end else " has shape " in p)]
        counts += [f"{len(rows)} {what}"] if rows else []
        shown += rows[:3]
    said = f"{', '.join(counts)}: {'; '.join(shown)}" if shown else printable(str(error))[:300]
    return f"The weights in {path} do not fit {type(model).__name__}: {said[:900]}. Give the model they come from."
