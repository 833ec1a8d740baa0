"""Running a jaxpr so that its gradients are those that frameworks agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from isopter.capture.jax import evaluate


class _Run(evaluate._Run):
    """Equation by equation. A ReLU is taken apart so, and loses the gradient of 0 at 0 that `jax.nn.relu` gives it: that of the maximum
    itself is one half there, where whole regions of an image may be."""

    def equation(self, eqn: Any, ins: list[Any], place: str) -> list[Any]:
        """The results of one equation."""
        if eqn.primitive.name == "max":
            for k in (0, 1):
                other = eqn.invars[k]
                if isinstance(other, Literal) and not np.any(other.val):
                    x = ins[1 - k]
                    return [jnp.where(x > 0, x, jnp.where(x != x, x, jnp.zeros((), x.dtype)))]
        return super().equation(eqn, ins, place)


def values_of(closed: ClosedJaxpr, arguments: Sequence[Any], keys: Sequence[str], consts: Sequence[Any], double: bool) -> list[Any]:
    """The values of these keys. See `isopter.capture.jax.evaluate.evaluate`."""
    found: dict[str, Any] = {}
    run = _Run(frozenset(keys), {}, double, found)
    run.jaxpr(closed.jaxpr, [run.wide(x) for x in consts], [run.wide(x) for x in arguments], "")
    return [found[key] for key in keys]
