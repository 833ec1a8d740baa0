"""Where a model is run: no other mode listening, no fused shortcuts, random state and global settings put back.

Some of these settings belong to the whole process, so one run happens at a time; a run inside a run (`analyze` called from a hook) is
its own, and the one outside does not hear of it.
"""

from __future__ import annotations

import contextlib
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from torch.nn.utils import parametrize
from torch.overrides import _get_current_function_mode_stack, _pop_mode_temporarily
from torch.utils._python_dispatch import _disable_current_modes

Result = TypeVar("Result")

_ONE_AT_A_TIME = threading.RLock()
_running = threading.local()


@contextlib.contextmanager
def alone() -> Iterator[Callable[[], bool]]:
    """One run at a time, without the user's modes; yields a function that tells whether the caller belongs to this very run."""
    with _ONE_AT_A_TIME, contextlib.ExitStack() as stack:
        for _ in _get_current_function_mode_stack():
            stack.enter_context(_pop_mode_temporarily())
        stack.enter_context(_disable_current_modes())
        depth = getattr(_running, "depth", 0) + 1
        _running.depth = depth
        try:
            yield lambda: getattr(_running, "depth", 0) == depth
        finally:
            _running.depth = depth - 1


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """Attention and transformer layers run op by op, without gradients; all a forward pass may set is put back."""
    fast, cached = torch.backends.mha.get_fastpath_enabled(), parametrize._cache_enabled
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    states = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with (
        _uncompiled(),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.random.fork_rng(devices=cuda),
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
    ):
        torch.backends.mha.set_fastpath_enabled(False)
        parametrize._cache_enabled = 0  # `parametrize.cached()`: neither what it holds nor what it would keep is ours
        try:
            yield
        finally:
            parametrize._cache_enabled = cached
            torch.backends.mha.set_fastpath_enabled(fast)
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_default_dtype(states[2])


def patiently(run: Callable[[], Result]) -> Result:
    """`run()`; once more if it failed and had only just loaded the compiler, which `settings` can turn off from then on."""
    loaded = "torch._dynamo" in sys.modules
    try:
        return run()
    except Exception:
        if loaded or "torch._dynamo" not in sys.modules:
            raise
    return run()


def _uncompiled() -> contextlib.AbstractContextManager[Any]:
    """torch.compile off (nothing is compiled where torch._dynamo was never imported): it would only skip what a mode listens to."""
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        return contextlib.nullcontext()
    return torch.compiler.set_stance("force_eager")


@contextlib.contextmanager
def no_autocast(here: Callable[[], bool]) -> Iterator[None]:
    """Autocast has no meaning on the meta device: neither the one around us nor those the model enters take effect in this run."""
    enter, leave = torch.autocast.__enter__, torch.autocast.__exit__

    def stay_out(self: torch.autocast) -> Any:
        return self if here() else enter(self)  # type: ignore[no-untyped-call]

    def stay_in(self: torch.autocast, *error: Any) -> Any:
        return None if here() else leave(self, *error)

    with torch._C._DisableAutocast():
        torch.autocast.__enter__, torch.autocast.__exit__ = stay_out, stay_in  # type: ignore[method-assign]
        try:
            yield
        finally:
            torch.autocast.__enter__, torch.autocast.__exit__ = enter, leave  # type: ignore[method-assign]
