"""A witness that a model, and everything global that a forward pass may set, is left as it was."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.modules import module as hooks
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack


def _held(item: Any, depth: int = 0) -> Iterator[Any]:
    """What an attribute holds, containers opened."""
    yield item
    if depth < 4 and isinstance(item, dict | list | tuple | set):
        for part in item.values() if isinstance(item, dict) else item:
            yield from _held(part, depth + 1)


def _attributes(model: nn.Module) -> dict[str, Any]:
    """Identity of every attribute and of what it holds, by module."""
    return {
        name: (type(m), getattr(m, "training", None), {k: [id(v) for v in _held(value)] for k, value in vars(m).items() if k != "forward"})
        for name, m in model.named_modules()
    }


def _tensors(model: nn.Module) -> dict[tuple[str, str, int], Tensor]:
    return {
        (name, key, k): tensor
        for name, m in model.named_modules()
        for key, value in vars(m).items()
        for k, tensor in enumerate(_held(value))
        if isinstance(tensor, Tensor)
    }


def _snapshot(tensor: Tensor) -> tuple[Any, ...]:
    facts = tensor.requires_grad, tensor.dtype, tensor.device, None if is_lazy(tensor) else tensor.shape
    unread = is_lazy(tensor) or isinstance(tensor, FakeTensor) or tensor.device.type == "meta" or tensor.is_inference()
    values = None if unread else tensor.detach().cpu().clone()
    return facts, tensor.grad if tensor.is_leaf else None, None if unread else tensor._version, values


def _globals() -> tuple[Any, ...]:
    numbers = np.random.get_state()
    return (
        torch.get_rng_state().tolist(), random.getstate(), (numbers[1].tolist(), numbers[2]),
        torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cuda"),
        torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.flash_sdp_enabled(), torch.are_deterministic_algorithms_enabled(),
        torch.nn.utils.parametrize._cache_enabled, len(torch.overrides._get_current_function_mode_stack()),
        [id(mode) for mode in _get_current_dispatch_mode_stack()],
        list(hooks._global_forward_hooks), list(hooks._global_forward_pre_hooks), torch.autocast.__enter__,
    )  # fmt: skip


@contextlib.contextmanager
def left_as_it_was(model: nn.Module) -> Iterator[None]:
    """Attributes are the same objects, tensors hold the same bits (and were not written), global settings are the same."""
    before, tensors, world = _attributes(model), _tensors(model), _globals()
    with _disable_current_modes():
        facts = {key: _snapshot(tensor) for key, tensor in tensors.items()}
    try:
        yield
    finally:
        assert _globals() == world
        assert _attributes(model) == before
        with _disable_current_modes():
            for key, tensor in tensors.items():
                *known, values = facts[key]
                *now, current = _snapshot(tensor)
                assert now[0] == known[0] and now[1] is known[1] and now[2] == known[2], key
                assert values is None or torch.equal(values, current) or bool((values != values).any()), key
