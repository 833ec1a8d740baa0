"""Values inside a jaxpr: where each is made, through the calls around it, and how, as far as activations go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jax.extend.core import ClosedJaxpr, Literal

from isopter.capture.jax.control import inner_of
from isopter.erf.activations import Step

SAME = frozenset("isopter_mark convert_element_type stop_gradient copy copy_p optimization_barrier reduce_precision".split())
CLIP = frozenset("max min clamp".split())
BENT = frozenset(
    """tanh logistic exp exp2 expm1 log log1p erf erfc abs sign sqrt rsqrt cbrt pow integer_pow square sin cos tan sinh cosh asinh atan
    gt ge lt le eq ne select_n floor round ceil is_finite not and or logsumexp""".split()
)
STRAIGHT = frozenset("add sub mul div neg broadcast_in_dim add_any".split())


@dataclass(frozen=True)
class At:
    """A variable of the jaxpr that is reached by entering the equations `inside`, from the outside in."""

    inside: tuple[int, ...]
    var: Any


class Values:
    """The values of a jaxpr of which some arguments are the image."""

    def __init__(self, closed: ClosedJaxpr, images: list[int]) -> None:
        self.closed = closed
        self._jaxprs: dict[tuple[int, ...], Any] = {(): closed.jaxpr}
        self._makers: dict[tuple[int, ...], dict[Any, tuple[int, int]]] = {}
        self._data: dict[tuple[int, ...], set[Any]] = {}
        invars = closed.jaxpr.invars
        self._spread((), {invars[k] for k in images})

    # ---- keys ----------------------------------------------------------------------------------------------------------

    def at(self, key: str) -> At | None:
        """The value of a key; None inside a loop or a branch."""
        place, _, number = key.partition(":")
        parts = place.split("/")
        if not all(part.isdigit() for part in parts):
            return None
        *inside, last = map(int, parts)
        jaxpr = self._inner(tuple(inside))
        return None if jaxpr is None else self.home(At(tuple(inside), jaxpr.eqns[last].outvars[int(number)]))

    def key(self, at: At) -> str | None:
        """The key of a value; None for an argument of the jaxpr."""
        found = self._made(at)
        if found is None:
            return None
        inside, position, number = found
        return f"{'/'.join(map(str, (*inside, position)))}:{number}"

    # ---- activations ---------------------------------------------------------------------------------------------------

    def step(self, at: At) -> Step | None:
        """How a value is made, if it is pointwise, of values of its shape, and numbers."""
        found = self._made(at)
        if found is None:
            return None
        inside, position, number = found
        eqn = self._jaxprs[inside].eqns[position]
        order = (*inside, position)
        inner = inner_of(eqn.primitive.name, eqn.params)
        if inner is not None:
            deeper = self._inner(order)
            out = deeper.outvars[number]
            return None if isinstance(out, Literal) else Step("same", (self.home(At(order, out)),), order)
        name, shape = eqn.primitive.name, eqn.outvars[number].aval.shape
        kind = next((k for k, names in (("same", SAME), ("clip", CLIP), ("bent", BENT), ("straight", STRAIGHT)) if name in names), None)
        data = [v for v in eqn.invars if not isinstance(v, Literal) and v in self._data[inside]]
        others = [v for v in eqn.invars if isinstance(v, Literal) or v not in self._data[inside]]
        if kind is None or any(v.aval.shape != shape for v in data) or any(not self._is_number(inside, v) for v in others):
            return None
        return Step(kind, tuple(dict.fromkeys(self.home(At(inside, v)) for v in data)), order)

    def _is_number(self, inside: tuple[int, ...], var: Any) -> bool:
        """Whether it is a single number, perhaps repeated."""
        if all(n == 1 for n in var.aval.shape):
            return True
        found = None if isinstance(var, Literal) else self._made(At(inside, var))
        if found is None:
            return False
        eqn = self._jaxprs[found[0]].eqns[found[1]]
        if eqn.primitive.name in ("broadcast_in_dim", "convert_element_type", "copy"):
            return self._is_number(found[0], eqn.invars[0])
        inner = inner_of(eqn.primitive.name, eqn.params)
        within = (*found[0], found[1])
        return inner is not None and self._is_number(within, self._inner(within).outvars[found[2]])

    def home(self, at: At) -> At:
        """A value by the variable of the equation that makes it, not by that of a call that was given it."""
        inside, var = at.inside, at.var
        while inside and var in self._inner(inside).invars:
            *outer, position = inside
            var = self._jaxprs[tuple(outer)].eqns[position].invars[self._inner(inside).invars.index(var)]
            inside = tuple(outer)
        return At(inside, var)

    # ---- parts -----------------------------------------------------------------------------------------------------------

    def _made(self, at: At) -> tuple[tuple[int, ...], int, int] | None:
        """The equation that makes a value, in which calls, and which of its results it is; None for an argument of the jaxpr."""
        home = self.home(at)
        if home.inside not in self._makers:
            eqns = self._inner(home.inside).eqns
            self._makers[home.inside] = {out: (k, n) for k, eqn in enumerate(eqns) for n, out in enumerate(eqn.outvars)}
        found = None if isinstance(home.var, Literal) else self._makers[home.inside].get(home.var)
        return None if found is None else (home.inside, *found)

    def _inner(self, inside: tuple[int, ...]) -> Any:
        """The jaxpr that these equations call, one in the other; None where one of them calls none."""
        if inside not in self._jaxprs:
            outer = self._inner(inside[:-1])
            eqn: Any = None if outer is None else outer.eqns[inside[-1]]
            inner = None if eqn is None else inner_of(eqn.primitive.name, eqn.params)
            self._jaxprs[inside] = None if inner is None else inner.jaxpr
            if inner is not None:
                known = self._data[inside[:-1]]
                pairs = zip(eqn.invars, inner.jaxpr.invars, strict=True)
                self._spread(inside, {var for given, var in pairs if not isinstance(given, Literal) and given in known})
        return self._jaxprs[inside]

    def _spread(self, inside: tuple[int, ...], data: set[Any]) -> None:
        """Which variables of a jaxpr depend on the image."""
        for eqn in self._jaxprs[inside].eqns:
            if any(not isinstance(v, Literal) and v in data for v in eqn.invars):
                data.update(eqn.outvars)
        self._data[inside] = data
