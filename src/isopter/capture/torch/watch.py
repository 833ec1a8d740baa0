"""Listening to a live model: every tensor of chosen module calls, the moment its module returns it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

from torch import Tensor, nn

from isopter.capture.torch.values import tensors_in

Visit = Callable[[str, list[Tensor]], None]
"""Called with a module call's path (``layer1.0#2`` for a second call) and the tensors it returned, in order."""


@contextlib.contextmanager
def watch(model: nn.Module, wanted: Collection[str], visit: Visit, here: Callable[[], bool]) -> Iterator[None]:
    """While open, `visit` hears of the module calls in `wanted`.

    The hooks are global, so that the model's own stay as they are; `here` tells whether a call is of this run.
    """
    names = {id(module): name for name, module in reversed(list(model.named_modules(remove_duplicate=False)))}
    heard = {part for call in wanted for part in (call, call.rpartition("#")[0])}
    names = {module: name for module, name in names.items() if name in heard}  # all other calls should cost next to nothing
    calls: Counter[str] = Counter()
    path: list[str] = []

    def enter(module: nn.Module, args: Any) -> None:
        name = names.get(id(module))
        if name is not None and here():
            calls[name] += 1
            path.append(name if calls[name] == 1 else f"{name}#{calls[name]}")

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if id(module) in names and here() and (call := path.pop()) in wanted:
            visit(call, tensors_in(output))

    hooks = [nn.modules.module.register_module_forward_pre_hook(enter), nn.modules.module.register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
