"""Field: everything isopter can say about what one layer sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from isopter.errors import UsageError
from isopter.fields import support as walk
from isopter.fields.extent import Extent, NoPlane, Progression, Unbounded
from isopter.fields.unit import Region, Support
from isopter.reads.relation import Exactness
from isopter.reads.scatter import Bools

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isopter.erf.expected import Expected, NotExpected
    from isopter.erf.maps.field import EffectiveField
    from isopter.fields.explain import Explanation
    from isopter.fields.paths import PathDistribution
    from isopter.fields.walks import Walks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Number = int | float | Fraction


class Field:
    """What one op sees of one input. All numbers are tuples with one entry per space axis of the input, in tensor order.

    `size` (input pixels), `stride` (input pixels per output step) and `start` (first pixel of unit 0, may be negative)
    hold on the unbounded plane, where borders do not exist. `basis` is "plane" then; where there is no plane it is
    "input", and size and start are those of the regions at this input size (stride None). size is math.inf where a
    whole axis is read. `context` says that the layer also reads the image through a summary (a squeeze-excite gate, a
    norm's statistics); ask for it with ``context=True``.
    """

    def __init__(self, walks: Walks, op: int, name: str) -> None:
        self.walks = walks
        self.op = op
        self.name = name

    def __repr__(self) -> str:
        return f"Field({self.name!r}, size={_show(self.size)}, stride={_show(self.stride)}, start={_show(self.start)})"

    def _repr_html_(self) -> str:
        from isopter.report.cards import field_card

        return field_card(self)

    # ---- what it is ----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the layer's output tensor."""
        return self.walks.graph.ops[self.op].shape

    @property
    def unit_axes(self) -> tuple[int, ...]:
        """Which axes of that tensor index its units (step through space)."""
        return self.walks.plan.units[self.op]

    @property
    def units(self) -> tuple[int, ...]:
        """How many units there are along each unit axis."""
        return tuple(self.shape[a] for a in self.unit_axes)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Size of the image: the input's space axes, in pixels."""
        plan = self.walks.plan
        return tuple(plan.graph.ops[plan.origin].shape[a] for a in plan.axes)

    @property
    def exactness(self) -> Exactness:
        """ "exact", or "bound" / "data_dependent": the field may be smaller than said, never larger."""
        return self.walks.plan.exactness[self.op]

    @property
    def context(self) -> bool:
        """Whether the layer also reads the image through a summary, which the numbers here leave out."""
        return self.walks.plan.context[self.op]

    # ---- on the plane --------------------------------------------------------------------------------------------

    @property
    def basis(self) -> Literal["plane", "input"]:
        """ "plane", or "input" where size and start hold for this input size only; `why_no_plane` says why."""
        return "input" if self.why_no_plane else "plane"

    @property
    def why_no_plane(self) -> str:
        """Which op ended the plane, or ""."""
        return next((e.why for e in self._extent if isinstance(e, NoPlane)), "")

    @cached_property
    def _extent(self) -> tuple[Extent, ...]:
        return self.walks.extent(self.op)

    @cached_property
    def size(self) -> tuple[int | float, ...]:
        """Input pixels per axis: the largest over phases and channels; math.inf where a whole axis is read."""
        if self.basis == "plane":
            return tuple(max(phases) for phases in self.sizes_by_phase)
        lo, hi = self.regions()
        return tuple(int((h - low).max(initial=0)) for low, h in zip(lo, hi, strict=True))

    @cached_property
    def sizes_by_phase(self) -> tuple[tuple[int | float, ...], ...]:
        """Per axis, the size of each phase of the unit index. One entry where all units are alike; several after upsampling."""
        sizes: list[tuple[int | float, ...]] = []
        for extent, n in zip(self._extent, self.size if self.basis == "input" else self.input_shape, strict=True):
            match extent:
                case Progression():
                    lo, hi = extent.by_phase()
                    every = tuple(int(max(h - low, 0)) for low, h in zip(lo, hi, strict=True))
                    sizes.append(every if len(set(every)) > 1 else every[:1])
                case Unbounded():
                    sizes.append((math.inf,))
                case NoPlane():
                    sizes.append((n,))
        return tuple(sizes)

    @property
    def stride(self) -> tuple[int | Fraction | None, ...]:
        """Input pixels per output step; a Fraction below 1 after upsampling, None where no axis steps through space."""
        return tuple(_plain(e.stride) if isinstance(e, Progression) else None for e in self._extent)

    @cached_property
    def start(self) -> tuple[int | float, ...]:
        """First pixel that unit 0 reads, on the plane; -inf where the whole axis is read."""
        if self.basis == "input":
            if 0 in self.units:
                return (0,) * len(self.input_shape)
            return self.region((0,) * len(self.units)).lo
        return tuple(int(e.by_phase()[0][0]) if isinstance(e, Progression) else -math.inf for e in self._extent)

    @property
    def center(self) -> tuple[float, ...]:
        """Centre of unit 0's field, in pixel coordinates (pixel 0 is centred at 0); nan where unbounded."""
        centers = []
        for extent, start, size in zip(self._extent, self.start, self.size, strict=True):
            first = float(extent.by_phase()[1][0] - start) if isinstance(extent, Progression) else float(size)
            centers.append(start + (first - 1) / 2 if math.isfinite(first) else math.nan)
        return tuple(centers)

    @cached_property
    def density(self) -> float:
        """Share of the field's box that is really read, for the middle unit; below 1 the field has holes.

        On the plane where there is one, else inside the image.
        """
        if 0 in self.units:
            return math.nan
        middle = tuple(n // 2 for n in self.units)
        clip = not (self.basis == "plane" and self.walks.plane_is_pullable(self.op))
        return self.support(middle, clip=clip).density

    # ---- at this input size --------------------------------------------------------------------------------------

    def regions(self, *, context: bool = False) -> tuple[tuple[Ints, ...], tuple[Ints, ...]]:
        """All units: (lo, hi), each one array per space axis, of shape `units`. Nothing read: lo == hi == 0.

        The arrays are read-only views that hold one number where units agree, so they cost little even for a volume.
        """
        boxes = self.walks.boxes(self.op, context)
        others = tuple(a for a in range(len(self.shape)) if a not in self.unit_axes)
        lo, hi = boxes.over(others)
        empty = [low >= h for low, h in zip(lo, hi, strict=True)]
        return (
            tuple(np.broadcast_to(np.where(e, 0, low).astype(np.int64), self.units) for e, low in zip(empty, lo, strict=True)),
            tuple(np.broadcast_to(np.where(e, 0, h).astype(np.int64), self.units) for e, h in zip(empty, hi, strict=True)),
        )

    def region(self, unit: Sequence[int], *, context: bool = False) -> Region:
        """The box of input pixels that one unit reads (all its channels together).

        `unit` is a 0-based index along `unit_axes`. Raises UsageError if it is out of range.
        """
        index = self.checked(unit)
        lo, hi = self.walks.boxes(self.op, context).at(dict(zip(self.unit_axes, index, strict=True)))
        if any(low >= high for low, high in zip(lo, hi, strict=True)):
            lo, hi = [0] * len(lo), [0] * len(hi)
        unclipped = None if context and self.context else self._unclipped(index)
        return Region(tuple(lo), tuple(hi), unclipped, index, self.name, self.input_shape)

    def _unclipped(self, index: tuple[int, ...]) -> tuple[tuple[float, float], ...] | None:
        if self.basis == "input":
            return None
        box: list[tuple[float, float]] = []
        for extent in self._extent:
            if isinstance(extent, Progression):
                turns, phase = divmod(index[self.unit_axes.index(extent.carrier)], extent.period)
                lo, hi = extent.by_phase()
                low, high = int(lo[phase]) + turns * extent.jump, int(hi[phase]) + turns * extent.jump
                box.append((low, high) if low < high else (0, 0))
            else:
                box.append((-math.inf, math.inf))
        return tuple(box)

    def support(self, unit: Sequence[int], *, context: bool = False, clip: bool = True) -> Support:
        """The exact set of pixels one unit reads, holes included.

        With ``clip=False`` the set on the plane, padding included; raises UsageError where there is no plane. Memory is
        that of the field, not of the image.
        """
        index = self.checked(unit)
        if not clip and not self.walks.plane_is_pullable(self.op):
            raise UsageError(
                f"{self.name} has no field on the plane ({self.why_no_plane or 'it is unbounded or regrouped'}). Use clip=True."
            )
        plan = self.walks.plan
        patch = walk.pull(plan, self.op, walk.unit(plan, self.op, index), context=self.walks.whole(self.op, context), clip=clip)
        if patch is None:
            return Support(np.zeros((0,) * len(plan.axes), np.bool_), (0,) * len(plan.axes))
        for axis in plan.axes:
            patch = patch.expand(axis, plan.graph.ops[plan.origin].shape[axis])
        others = tuple(a for a in range(patch.mask.ndim) if a not in plan.axes)
        order = np.argsort(np.argsort(plan.axes))
        return Support(np.asarray(patch.mask.any(axis=others)).transpose(order), tuple(patch.origin[a] for a in plan.axes))

    def projective(self, pixel: Sequence[int], *, context: bool = False) -> Bools:
        """Which of this layer's units input pixel `pixel` can reach: a boolean array of shape `units`."""
        shape = self.input_shape
        at = _checked_index(pixel, shape, f"pixel of the input, whose size is {shape}")
        reached = self.walks.push(at, self.walks.whole(self.op, context))[self.op]
        assert reached is not None
        return reached

    def checked(self, unit: Sequence[int]) -> tuple[int, ...]:
        """`unit` as plain integers. Raises UsageError if there is no such unit."""
        return _checked_index(
            unit, self.units, f"unit of {self.name}, which has {self.units} units (tensor {self.shape}, axes {self.unit_axes})"
        )

    def padding_shares(self) -> Floats:
        """For every unit, the share of its field's box that lies outside the image: an array of shape `units`, of 0 to 1.

        That of one unit is ``field.region(unit).padding_share``. Raises UsageError where there is no plane.
        """
        from isopter.fields.exposure import padding_shares

        return padding_shares(self)

    # ---- pictures ------------------------------------------------------------------------------------------------

    def plot(
        self,
        ax: Any = None,
        unit: Sequence[int] | None = None,
        image: Any = None,
        *,
        context: bool = False,
        effective: EffectiveField | None = None,
        zoom: bool | None = None,
    ) -> Any:
        """The exact set one unit reads, holes and padding included, in input pixels; returns the Axes and shows nothing.

        `unit`: an index along `unit_axes`; default the middle one. `image`: an array (H, W) or (H, W, 3) to lay under it, of floats from
        0 to 1 or of bytes; cut at its centre to the input's form. `effective`: a field of this layer whose square of 95 % is drawn too.
        `zoom`: show the field (True) or the whole image (False); default the field where it is small. One axis of space is a strip with
        look-back and look-ahead. Three are three slices in an array of three Axes; give `ax` three, or one for the last two axes alone.
        Raises UsageError for a wrong unit or image, MissingExtra without matplotlib.
        """
        from isopter.report.figures.unit import plot

        return plot(self, ax, unit, image, context=context, effective=effective, zoom=zoom)

    def plot_padding(self, ax: Axes | None = None) -> Axes:
        """`padding_shares` as a map over the layer's units (of more than two unit axes the last two, at the middle of the others).

        Returns the Axes and shows nothing. Raises UsageError where there is no plane, MissingExtra without matplotlib.
        """
        from isopter.report.figures.padding import plot

        return plot(self, ax)

    # ---- why -----------------------------------------------------------------------------------------------------

    def paths(self, axis: int = 0) -> PathDistribution:
        """How many routes through the network give each field size, along one space axis."""
        from isopter.fields.paths import paths

        self._axis(axis)
        return paths(self.walks, self.op, axis)

    def explain(self, axis: int = 0) -> Explanation:
        """The sum behind the number: what each layer adds to the size, along the widest path (Araujo et al. 2019, eq. 1)."""
        from isopter.fields.explain import explain

        self._axis(axis)
        return explain(self.walks, self.op, axis)

    def expected(
        self,
        unit: Sequence[int] | None = None,
        *,
        clip: bool | None = None,
        context: bool = False,
        model: Any = None,
        data: Any = None,
        seed: int = 0,
    ) -> Expected | NotExpected:
        """The effective field this architecture starts with: the mean squared gradient over random weights, without sampling.

        `unit`: an index along `unit_axes`; default the middle one. `clip`: inside this image, or (False) on the plane, padding
        included; default the plane where there is one. `context`: also through summaries. Weights are taken as He initialises them
        and activations as symmetric; with the live `model` one forward pass of `data` (a tensor, a tuple or a dict as for `analyze`;
        default normal noise drawn by `seed`) tells mean squared weights, slopes, norms and gates instead. The
        result lists its `assumptions`. Where attention or a gate is on the way it is a `NotExpected`, which says so.
        Source: Luo et al. 2016, section 3. Raises UsageError for a wrong unit, or a unit that reads nothing.
        """
        from isopter.erf.expected import expected

        return expected(self, unit, clip=clip, context=context, model=model, data=data, seed=seed)

    def _axis(self, axis: int) -> None:
        if not 0 <= axis < len(self.walks.plan.axes):
            raise UsageError(f"axis={axis}: the input has {len(self.walks.plan.axes)} space axes, numbered from 0.")


def _checked_index(index: Sequence[int] | int, sizes: tuple[int, ...], what: str) -> tuple[int, ...]:
    given = (index,) if isinstance(index, int | np.integer) else tuple(index)
    if len(given) != len(sizes) or any(isinstance(i, bool) or not isinstance(i, int | np.integer) for i in given):
        raise UsageError(f"{given} is no {what}: give {len(sizes)} whole numbers.")
    if any(not 0 <= i < n for i, n in zip(given, sizes, strict=True)):
        ranges = " x ".join(f"0..{n - 1}" for n in sizes)
        raise UsageError(f"{given} is out of range: no such {what}. Valid: {ranges}.")
    return tuple(int(i) for i in given)


def _plain(value: Fraction) -> int | Fraction:
    return int(value) if value.denominator == 1 else value


def _show(values: Sequence[object]) -> str:
    return "x".join("-" if v is None else str(v) for v in values)
