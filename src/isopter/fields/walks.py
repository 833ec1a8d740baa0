"""All walks over one plan, each done once, when first asked for."""

from __future__ import annotations

from functools import cached_property, lru_cache

from isopter.fields import support
from isopter.fields.extent import Extent, Progression, extents
from isopter.fields.plan import Plan
from isopter.fields.regions import Boxes, regions
from isopter.graph import Graph
from isopter.reads.relation import Listed, Regroup
from isopter.reads.scatter import Bools


class Walks:
    """The folds over one input of one graph. An op whose local field is empty everywhere is seen through its context."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.push = lru_cache(maxsize=8)(self._push)

    @property
    def graph(self) -> Graph:
        return self.plan.graph

    @cached_property
    def _local(self) -> list[Boxes | None]:
        return regions(self.plan, context=False)

    @cached_property
    def _whole(self) -> list[Boxes | None]:
        return regions(self.plan, context=True) if any(self.plan.context) else self._local

    @cached_property
    def _extents(self) -> list[tuple[Extent, ...] | None]:
        return extents(self.plan, context=False)

    def whole(self, op: int, context: bool) -> bool:
        """Whether a question about `op` must follow context reads: they are asked for, or nothing else is read."""
        if not self.plan.context[op]:
            return False
        boxes = self._local[op]
        return context or boxes is None or boxes.empty

    def boxes(self, op: int, context: bool) -> Boxes:
        """Regions of every unit of `op`."""
        found = (self._whole if self.whole(op, context) else self._local)[op]
        assert found is not None
        return found

    def extent(self, op: int) -> tuple[Extent, ...]:
        """The field of `op` on the plane, per axis."""
        found = self._extents[op]
        assert found is not None
        return found

    def plane_is_pullable(self, op: int) -> bool:
        """Whether a unit of `op` can be pulled back without borders: every axis steps, and no reshape regroups space."""
        return all(isinstance(e, Progression) for e in self.extent(op)) and not self._regroups[op]

    @cached_property
    def _regroups(self) -> list[bool]:
        plan = self.plan
        found = [False] * len(plan.graph.ops)
        for target in range(len(found)):
            for edge in plan.incoming(target, context=False):
                space = plan.units[edge.source]
                mixed = any(isinstance(link.map, Regroup | Listed) and set(link.ins) & set(space) for link in edge.relation.links)
                found[target] |= found[edge.source] or mixed
        return found

    def _push(self, pixel: tuple[int, ...], context: bool) -> list[Bools | None]:
        return support.push(self.plan, pixel, context=context)
