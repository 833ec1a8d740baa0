"""Running a jaxpr so that its gradients are those that frameworks agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.extend.core import ClosedJaxpr, Literal

from isopter.capture.jax import evaluate
from isopter.capture.jax.control import inner_of

OWN_DERIVATIVES = frozenset("custom_jvp_call custom_vjp_call custom_vjp_call_jaxpr".split())


class _Run(evaluate._Run):
    """Equation by equation. Functions with derivatives of their own keep them (a straight-through estimator would have none else), unless
    values inside are asked for. The gradient of a maximum of 0 is 0 at 0, as `jax.nn.relu` has it: JAX says one half, and whole regions of
    an image may be 0."""

    def equation(self, eqn: Any, ins: list[Any], place: str) -> list[Any]:
        """The results of one equation."""
        if eqn.primitive.name in OWN_DERIVATIVES and f"{place}/" not in self.inside:
            return self.own(eqn, ins)
        if eqn.primitive.name == "max":
            for k in (0, 1):
                other = eqn.invars[k]
                if isinstance(other, Literal) and not np.any(other.val):
                    x = ins[1 - k]
                    return [jnp.where(x > 0, x, jnp.where(x != x, x, jnp.zeros((), x.dtype)))]
        return super().equation(eqn, ins, place)

    def own(self, eqn: Any, ins: list[Any]) -> list[Any]:
        """The results of a function with a derivative of its own. JAX knows both for the types of the trace; in double precision the
        equations of both are run."""
        at = [k for k, v in enumerate(eqn.invars) if not isinstance(v, Literal)]
        given, values = [eqn.invars[k] for k in at], [ins[k] for k in at]
        first = sum(k < eqn.params.get("num_consts", 0) for k in at)  # what the function closes over has no derivative
        inner = inner_of(eqn.primitive.name, eqn.params)
        assert inner is not None
        alone = inner.jaxpr.replace(constvars=[], invars=given, outvars=eqn.outvars, eqns=[eqn])
        real = all(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in (*given[first:], *eqn.outvars))
        if not self.double or not real:
            own = [x.astype(v.aval.dtype) for x, v in zip(values, given, strict=True)]
            return [self.wide(x) for x in eval_jaxpr(alone, (), *own)]
        held = values[:first]

        def pulled(held: list[Any], xs: list[Any], gradients: list[Any]) -> Any:
            return jax.vjp(lambda *xs: eval_jaxpr(alone, (), *held, *xs), *xs)[1](gradients)

        struct: Any = jax.ShapeDtypeStruct
        types = ([struct(v.aval.shape, v.aval.dtype) for v in vs] for vs in (given[:first], given[first:], eqn.outvars))
        back, plain = jax.make_jaxpr(pulled)(*types), evaluate._Run(frozenset(), {}, True, {})  # nobody differentiates them

        def run(closed: ClosedJaxpr, values: list[Any]) -> list[Any]:
            return plain.jaxpr(closed.jaxpr, [self.wide(x) for x in closed.consts], values, "-")

        @jax.custom_vjp
        def function(*xs: Any) -> list[Any]:
            full = dict(zip(given, (*held, *xs), strict=True))
            every = [full[v] if not isinstance(v, Literal) else x for v, x in zip(eqn.invars, ins, strict=True)]
            return run(inner, every)

        function.defvjp(lambda *xs: (function(*xs), xs), lambda xs, gradients: tuple(run(back, [*held, *xs, *gradients])))
        return list(function(*values[first:]))


def values_of(closed: ClosedJaxpr, arguments: Sequence[Any], keys: Sequence[str], consts: Sequence[Any], double: bool) -> list[Any]:
    """The values of these keys. See `isopter.capture.jax.evaluate.evaluate`."""
    found: dict[str, Any] = {}
    run = _Run(frozenset(keys), {}, double, found)
    run.jaxpr(closed.jaxpr, [run.wide(x) for x in consts], [run.wide(x) for x in arguments], "")
    return [found[key] for key in keys]
