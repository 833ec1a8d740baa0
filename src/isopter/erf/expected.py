"""The expected effective field: what sampling random weights converges to, computed from the architecture alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from isopter.erf.maps.field import EffectiveField
from isopter.errors import UsageError
from isopter.fields import energy
from isopter.fields.linear import Block, expanded
from isopter.fields.paths import EnergyPaths, paths_by_energy
from isopter.reads.gains import NotCovered

if TYPE_CHECKING:
    from isopter.fields.field import Field


@dataclass(frozen=True)
class Share:
    """What one op contributes to a unit's field: `energy`, the share of gradient energy that passes through it; per space axis
    `growth`, the pixels it adds to the theoretical size along the widest path, and `variance`, what it adds to sigma squared."""

    layer: str
    kind: str
    energy: float
    growth: tuple[float, ...]
    variance: tuple[float, ...]


class Anatomy:
    """Where the energy of an expected field flows, worked out when first asked for; pickles as plain numbers."""

    def __init__(self, field: Field, pulled: energy.Pulled, center: tuple[float, ...]) -> None:
        self._field, self._pulled, self._center = field, pulled, center

    @cached_property
    def _flows(self) -> energy.Flows:
        return energy.flows(self._field.walks.plan, self._pulled, self._center)

    @cached_property
    def shares(self) -> tuple[Share, ...]:
        """One per op on the way that energy passes, from the input to the layer."""
        field, found = self._field, self._flows
        ops, axes = field.walks.graph.ops, range(len(self._center))
        growth = [{t.layer: t.growth for t in field.explain(a).terms} for a in axes]
        return tuple(
            Share(ops[i].name, ops[i].kind, found.through[i], tuple(g.get(ops[i].name, 0.0) for g in growth), found.variance[i])
            for i in sorted(found.variance)
            if found.through.get(i, 0.0) > 0
        )

    @cached_property
    def paths(self) -> tuple[EnergyPaths, ...]:
        """Path sizes by the share of energy, per axis."""
        return tuple(paths_by_energy(self._field.walks, self._pulled.op, a, self._flows.edges) for a in range(len(self._center)))

    def __getstate__(self) -> dict[str, Any]:
        return {"shares": self.shares, "paths": self.paths}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Expected(EffectiveField):
    """The mean squared gradient of one unit by each input pixel, over random weights (Luo et al. 2016, section 3).

    `map` is the energy, up to the scale of the weights; `assumptions` is what it rests on. All metrics are exact numbers of that map.
    On the plane, padding included, unless `clipped`: then inside this image.
    """

    assumptions: tuple[str, ...]
    clipped: bool
    anatomy: Anatomy

    applies = True
    """False for `NotExpected`."""

    @property
    def shares(self) -> tuple[Share, ...]:
        """What each op buys: pixels of theoretical size, and part of sigma squared (they sum up to it). See `Share`."""
        return self.anatomy.shares

    def paths(self, axis: int = 0) -> EnergyPaths:
        """The distribution of path sizes along one axis, each path weighted by the energy it carries."""
        if not 0 <= axis < self.map.ndim:
            raise UsageError(f"axis={axis}: the input has {self.map.ndim} space axes, numbered from 0.")
        return self.anatomy.paths[axis]


@dataclass(frozen=True)
class NotExpected:
    """In place of an `Expected` where the theory does not apply: `why`. Asking it for a number raises UsageError."""

    layer: str
    why: str
    applies: Literal[False] = False

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UsageError(f"{self} Measure it instead: isopter.effective(model, layers=[{self.layer!r}], ...).")

    def __str__(self) -> str:
        return f"No expected field is known for {self.layer}: {self.why}."


def expected(
    field: Field,
    unit: Sequence[int] | None = None,
    *,
    clip: bool | None = None,
    context: bool = False,
    model: Any = None,
    data: Any = None,
    seed: int = 0,
) -> Expected | NotExpected:
    """See `Field.expected`."""
    walks, op = field.walks, field.op
    if 0 in field.shape or 0 in field.input_shape:
        raise UsageError(f"{field.name} has shape {field.shape}: there is no unit whose field could be computed.")
    index = tuple(n // 2 for n in field.units) if unit is None else field.checked(unit)
    whole = walks.whole(op, context)
    bounded = walks.plane_is_pullable(op) and not whole
    if clip is False and not bounded:
        raise UsageError(f"{field.name} has no bounded field on the plane ({field.why_no_plane or 'it reads whole axes'}). Use clip=True.")
    inside = not bounded if clip is None else clip
    facts = measured_facts(field, model, data, seed) if model is not None else {}
    if model is None and data is not None:
        raise UsageError("data=... needs model=..., the live model to run it through.")
    try:
        pulled = energy.pull(walks.plan, op, _unit_block(field, index), context=whole, clip=inside, facts=facts)
    except NotCovered as reason:
        return NotExpected(field.name, str(reason))
    if pulled is None or not pulled.energy.values.any():
        if not field.support(index, clip=inside).count:
            raise UsageError(f"Unit {index} of {field.name} reads nothing of the input: choose another unit.")
        raise UsageError(
            f"No gradient reaches the input from unit {index} of {field.name}: on every way stands a comparison or a rounding, or what the "
            "forward pass of the model found to be weights or slopes of zero."
        )
    center, size = _place(field, index)
    values, origin = _on_space(pulled.energy, walks.plan.axes, walks.graph.ops[walks.plan.origin].shape)
    return Expected(
        layer=field.name,
        map=values,
        origin=origin,
        center=center,
        size=size,
        image=field.input_shape,
        unit=index,
        statistic="energy",
        assumptions=pulled.assumed,
        clipped=inside,
        anatomy=Anatomy(field, pulled, center),
    )


def _unit_block(field: Field, index: tuple[int, ...]) -> Block:
    """Energy 1 at one unit, in each of its channels."""
    at = dict(zip(field.unit_axes, index, strict=True))
    axes = range(len(field.shape))
    return Block(np.ones((1,) * len(field.shape)), tuple(at.get(a, 0) for a in axes), tuple(a not in at for a in axes))


def _place(field: Field, index: tuple[int, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Centre and size of the unit's theoretical field; where that is unbounded, the unit's own place."""
    region = field.region(index)
    box = region.unclipped or tuple(zip(region.lo, region.hi, strict=True))
    own = [(i + 0.5) * n / m - 0.5 for i, n, m in zip(index, field.input_shape, field.units, strict=False)]
    own += [(n - 1) / 2 for n in field.input_shape[len(own) :]]
    center = tuple((lo + hi - 1) / 2 if math.isfinite(hi - lo) else at for (lo, hi), at in zip(box, own, strict=True))
    return center, tuple(hi - lo for lo, hi in box)


def _on_space(block: Block, axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """The energy summed over the channels, as a map with the space axes in their order."""
    for axis in axes:
        block = expanded(block, axis, shape[axis])
    others = tuple(a for a in range(len(shape)) if a not in axes)
    count = math.prod(shape[a] for a in others if block.full[a])
    order = np.argsort(np.argsort(axes))
    return (block.values.sum(axis=others) * count).transpose(order), tuple(block.origin[a] for a in axes)


def measured_facts(field: Field, model: Any, data: Any, seed: int) -> Mapping[str, Mapping[str, Any]]:
    """What one forward pass of the live model says in place of the assumptions."""
    from isopter.erf.live import measures

    facts = measures(model, "expected(model=...)").one_pass(field.walks.plan, model, data, seed)
    for name, own in facts.items():
        if not np.isfinite(np.hstack([np.ravel(number) for number in own.values()])).all():
            what = "weights" if "power" in own else "values"
            raise UsageError(f"The {what} of {name} are not finite in the model's forward pass. Look at them, or give other data.")
    return facts
