"""Higher-order operators: calls that take functions (`torch.cond`, `flex_attention`). What their functions do is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def run(mode: TorchDispatchMode, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The result of a higher-order operator, with all that it does seen by `mode`."""
    plain = _PLAIN.get(func.name()) or func.py_kernels.get(torch._C.DispatchKey.CompositeExplicitAutograd)
    if plain is None:
        raise NotImplementedError(f"torch.ops.higher_order.{func.name()} has no plain form to record. Call the model without it.")
    with mode:
        return plain(*args, **kwargs)


def _cond(predicate: Any, yes: Callable[..., Any], no: Callable[..., Any], operands: Sequence[Any] = ()) -> Any:
    return yes(*operands) if bool(predicate) else no(*operands)


def _while_loop(going: Callable[..., Any], body: Callable[..., Any], carried: Sequence[Any], others: Sequence[Any] = ()) -> Any:
    while bool(going(*carried, *others)):
        made = body(*carried, *others)
        carried = made if isinstance(made, tuple | list) else (made,)
    return tuple(carried)


_PLAIN: dict[str, Callable[..., Any]] = {"cond": _cond, "while_loop": _while_loop}
"""PyTorch's own plain forms of these refuse to run while a mode listens."""
