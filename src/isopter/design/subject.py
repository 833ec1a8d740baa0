"""What every question of design looks at: one analysis, seen from one of its inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from isopter.design.effects import checked
from isopter.fields.extent import Progression, Unbounded
from isopter.fields.field import Field
from isopter.fields.plan import Plan
from isopter.fields.walks import Walks
from isopter.graph import Op

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.erf.maps.field import EffectiveField
    from isopter.verification import Verification

    Effects = Mapping[str, EffectiveField]  # by layer name


@dataclass(frozen=True, eq=False)
class Subject:
    """`analysis` over the input with op index `origin`, and what else is known of the model.

    `effective`: effective fields that are known, by layer name. `verification`: what a proof on the model said. `theory`: whether expected
    fields may be computed where none was measured.
    """

    analysis: Analysis
    origin: int
    effective: Effects = field(default_factory=dict)
    verification: Verification | None = None
    theory: bool = True

    @cached_property
    def walks(self) -> Walks:
        """The walks over this input."""
        return self.analysis._walk(self.origin)

    @property
    def plan(self) -> Plan:
        """Their plan."""
        return self.walks.plan

    @property
    def ops(self) -> tuple[Op, ...]:
        """All ops of the graph."""
        return self.analysis.graph.ops

    @property
    def axes(self) -> range:
        """The space axes of the input, numbered from 0."""
        return range(len(self.plan.axes))

    @cached_property
    def image(self) -> tuple[int, ...]:
        """Size of the input along its space axes, in pixels."""
        return tuple(self.ops[self.origin].shape[a] for a in self.plan.axes)

    @cached_property
    def seen(self) -> tuple[int, ...]:
        """The ops that depend on this input and are not empty, in order; the input is none of them."""
        return tuple(i for i, op in enumerate(self.ops) if i != self.origin and self.plan.depends(i) and 0 not in op.shape)

    def name(self, op: int) -> str:
        """An op's name, which is a key of the analysis."""
        return self.ops[op].name

    def field(self, op: int) -> Field:
        """Its field over this input."""
        return self.analysis._field(op, self.origin)

    def steps(self, op: int) -> tuple[Progression, ...] | None:
        """Its extent along every space axis, or None where one of them is unbounded or has no plane."""
        found = self.walks.extent(op)
        steps = tuple(e for e in found if isinstance(e, Progression))
        return steps if len(steps) == len(found) else None

    def is_map(self, op: int) -> bool:
        """Whether its units step along every space axis of the input."""
        if any(isinstance(e, Unbounded) for e in self.walks.extent(op)) or self.walks.whole(op, False):
            return False
        return len(self.plan.units[op]) == len(self.plan.axes)

    @cached_property
    def heads(self) -> tuple[int, ...]:
        """The maps that the model ends in: its outputs that are maps, else the last map on the way to an output."""
        if 0 in self.image:
            return ()
        seen = set(self.seen)
        outputs = tuple(dict.fromkeys(i for i in self.analysis.graph.outputs if i in seen and self.is_map(i)))
        if outputs:
            return outputs
        above = self.above(self.analysis.graph.outputs)
        maps = (i for i in reversed(self.seen) if i in above and self.steps(i) is not None and self.is_map(i))
        return tuple(itertools.islice((i for i in maps if self.ops[i].kind != "adaptive_pool"), 1))  # it belongs to the classifier

    def above(self, ops: tuple[int, ...], context: bool = True) -> set[int]:
        """Every op that these depend on, and these."""
        found = set(ops)
        for target in range(max(ops, default=0), -1, -1):
            if target in found and self.plan.depends(target):
                found.update(edge.source for edge in self.plan.incoming(target, context))
        return found

    def widest_heads(self) -> Iterator[int]:
        """The maps the model ends in, the largest field first."""
        yield from sorted(self.heads, key=lambda i: -math.prod(self.field(i).size))


def subject(
    analysis: Analysis,
    *,
    input: str | None = None,
    effective: Effects | None = None,
    verification: Verification | None = None,
    theory: bool = True,
) -> Subject:
    """The subject over the input called `input`, by default the model's first. Raises LayerNotFound for a name that is no
    input, and UsageError for effective fields that are not of this model (see `effects.checked`)."""
    at = origin(analysis, input)
    return Subject(analysis, at, checked(analysis, effective, at), verification, theory)


def origin(analysis: Analysis, input: str | None) -> int:
    """The op index of an input by its name or argument name; of `analysis.origin` for None."""
    from isopter.errors import LayerNotFound

    if input is None:
        return analysis.origin
    names = {analysis.ops[i]: i for i in analysis.graph.inputs} | dict(analysis.graph.input_names)
    if input not in names:
        raise LayerNotFound(input, names)
    return names[input]


def pixels(values: tuple[int | float, ...]) -> str:
    """Sizes for prose: ``224 px`` where all axes agree, else ``224 x 320 px``."""
    shown = ["unbounded" if math.isinf(v) else f"{v:,.4g}" if isinstance(v, float) and v != int(v) else f"{int(v):,}" for v in values]
    return f"{shown[0] if len(set(shown)) == 1 else ' x '.join(shown)} px"


def listed(names: list[str] | tuple[str, ...], most: int = 4) -> str:
    """Names for prose, the first few of many: ``a, b, c and 9 more``."""
    if len(names) <= most + 1:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"
    return f"{', '.join(names[:most])} and {len(names) - most} more"
