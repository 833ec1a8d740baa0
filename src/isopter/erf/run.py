"""The loop over samples: feed every group, add up the maps, stop when they are known well enough."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isopter.erf.asks import NotSeparable
from isopter.erf.canvas import bytes_kept, image
from isopter.erf.data.sources import Samples, drawn
from isopter.erf.frame import Frame
from isopter.erf.groups import Gradients, Statistic, gradients, maps, same
from isopter.erf.live import Live
from isopter.erf.maps.measured import Sums
from isopter.erf.plan import Course
from isopter.erf.processes import Processes
from isopter.errors import IsopterError

FIRST_LOOK = 8
"""Samples before `until` is first asked: fewer tell little about their own spread."""

MOST_ROWS = 64
CACHE = 32e6
SHARE_OF_MEMORY = 0.25
"""How many samples share a pass. On a CPU what they keep should fit its cache, in bytes: ResNet-18's layer1 (46 x 46 pixels) takes 5.1 ms
a sample alone and 2.2 ms of 16, layer3 (218 x 218) 94 ms alone and 128 ms of 16. On a GPU they may fill a share of what is free."""


@dataclass
class Run:
    """A measurement under way. `frame`: how the input lies."""

    live: Live
    groups: Sequence[tuple[Course, ...]]
    data: Samples | None
    frame: Frame
    statistic: Statistic
    count: int
    processes: Processes
    batch: int | None = None
    sums: dict[str, Sums] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)
    """Groups whose samples were seen to stay apart in a batch."""

    def until(self, error: float | None, tell: Callable[[int], None]) -> Mapping[str, Sums]:
        """Measure `count` samples, or until the relative error of every layer is at most `error`; the sums of all processes."""
        for course in itertools.chain(*self.groups):
            self.sums[course.layer.name] = Sums([hi - lo for lo, hi in course.place.box])
        rows = [self._rows(group) for group in self.groups]
        stream = self._stream()
        held = next(stream, None)
        total: Mapping[str, Sums] = self.sums
        for stop in looks(self.count, error):
            failure = None
            try:
                while held is not None and held[0] < stop:
                    chunk = dict([held])
                    while (held := next(stream, None)) is not None and held[0] < stop and len(chunk) < max(rows):
                        chunk |= dict([held])
                    self._add(chunk, rows)
                    tell(max(chunk) + 1)
            except IsopterError as problem:
                failure = problem
            total = self.processes.together(self.sums, failure)
            if error is not None and all(s.relative_error() <= error for s in total.values()):
                break
        return total

    def _stream(self) -> Iterator[tuple[int, Any]]:
        mine = range(self.processes.rank, self.count, self.processes.count)
        return ((number, None) for number in mine) if self.data is None else iter(self.data.take(mine))

    def _add(self, chunk: Mapping[int, Any], rows: list[int]) -> None:
        """One chunk of samples through every group, each in batches of as many rows as it takes."""
        for k, group in enumerate(self.groups):
            left = self._first(k, chunk, rows)
            while left:
                numbers, left = left[: rows[k]], left[rows[k] :]
                self._keep(group, numbers, self._gradients(group, chunk, numbers))

    def _first(self, k: int, chunk: Mapping[int, Any], rows: list[int]) -> list[int]:
        """What is left of a chunk when it is known how many rows the group takes: one sample alone is held against the last of a batch.

        Where the canvas was tried on sample 0 that is the one, and no pass is made twice.
        """
        group, left = self.groups[k], list(chunk)
        known = [course.first for course in group if course.first is not None]
        alone: Gradients | None = known if len(known) == len(group) and 0 in chunk else None
        several = rows[k] > 1 and len(left) > 1 and k not in self.apart and not self.live.separable
        if alone is None and not several:
            return left
        number = left[min(rows[k], len(left)) - 1] if alone is None else 0
        left.remove(number)
        if alone is None:
            alone = self._gradients(group, chunk, [number])
        if several and not all(bool(gradient.any()) for gradient in alone):  # a closed unit is the same in any company: ask the next one
            self._keep(group, [number], alone)
            return self._first(k, {n: chunk[n] for n in left}, rows)
        if several:
            numbers = [*left[: rows[k] - 1], number]
            try:
                together = self._gradients(group, chunk, numbers)
            except NotSeparable:
                together = None
            if together is not None and same(together, alone, self.live.precision):
                self.apart.add(k)
                self._keep(group, numbers, together)
                return left[len(numbers) - 1 :]
            rows[k] = 1
        self._keep(group, [number], alone)
        return left

    def _gradients(self, group: Sequence[Course], chunk: Mapping[int, Any], numbers: Sequence[int]) -> Gradients:
        return gradients(self.live, group, {number: self._input(group[0], number, chunk[number]) for number in numbers})

    def _keep(self, group: Sequence[Course], numbers: Sequence[int], found: Gradients) -> None:
        for name, made in maps(group, found, numbers, self.live.seed, self.statistic, self.frame).items():
            for number, values in made.items():
                self.sums[name].add(number, values)

    def _input(self, course: Course, number: int, sample: Any) -> Any:
        """The sample on the canvas of the course: a part of it, or noise of that size."""
        place = course.at(number, self.live.seed)
        if sample is None:
            return drawn(self.live.seed, number, self.frame, place.size)
        return sample[self.frame.index(place.canvas, image(course.layer.field))]

    def _rows(self, group: Sequence[Course]) -> int:
        """Samples per forward pass."""
        if self.live.training or any(course.wander is not None for course in group):
            return 1  # dropout and batch statistics belong to one sample, and so does a unit that is drawn
        if self.batch is not None:
            return self.batch
        free = self.live.free()
        room = CACHE if free is None else SHARE_OF_MEMORY * free
        kept = max(bytes_kept(course.layer.field, course.place.size) for course in group)
        return int(max(1, min(MOST_ROWS, room // kept)))


def looks(count: int, error: float | None) -> Iterator[int]:
    """At how many samples to see whether they are enough: 8, 10, 13, ... and at last all."""
    at = FIRST_LOOK
    while error is not None and at < count:
        yield at
        at = max(at + 1, at * 5 // 4)
    yield count
