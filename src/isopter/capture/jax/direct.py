"""A shorter trace: functions with derivatives of their own are entered directly, as their derivatives are not asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax

from isopter.capture.jax.marks import _PATCHING


@contextmanager
def directly(arrays: Sequence[Any]) -> Iterator[None]:
    """Within, `jax.custom_jvp` and `jax.custom_vjp` functions of values of this very trace (of which `arrays` are the arguments) are
    called as plain functions. In traces inside it nothing changes: JAX keeps those, and may differentiate them one day."""
    top = getattr(arrays[0], "_trace", None) if arrays else None
    kinds: tuple[Any, ...] = (jax.custom_jvp, jax.custom_vjp)
    with _PATCHING:
        before = [kind.__call__ for kind in kinds]

        def patched(original: Any) -> Any:
            def call(self: Any, *args: Any, **kwargs: Any) -> Any:
                tracers = [x for x in jax.tree.leaves((args, kwargs)) if isinstance(x, jax.core.Tracer)]
                if top is not None and tracers and all(getattr(x, "_trace", None) is top for x in tracers):
                    return self.fun(*args, **kwargs)
                return original(self, *args, **kwargs)

            return call

        try:
            for kind, original in zip(kinds, before, strict=True):
                kind.__call__ = patched(original)
            yield
        finally:
            for kind, original in zip(kinds, before, strict=True):
                kind.__call__ = original
