"""Layouts: an op with channels last answers as the same op among transposes does, whatever is asked."""

from __future__ import annotations

import numpy as np
import pytest

from isopter.analysis import Analysis
from isopter.design.cost import costs
from isopter.errors import UsageError
from isopter.graph import Graph, Op, check
from isopter.reads.layout import ordered, restored
from layouts import LAST, ODD, laid_out, plain


def test_orders_are_inverse() -> None:
    assert ordered((1, 56, 48, 64), LAST) == (1, 64, 56, 48) and restored((1, 64, 56, 48), LAST) == (1, 56, 48, 64)
    assert ordered(restored((1, 2, 3, 4), ODD), ODD) == (1, 2, 3, 4)


@pytest.mark.parametrize("layout", [LAST, ODD])
def test_all_answers_are_those_of_the_usual_order(layout: tuple[int, ...]) -> None:
    a, b = plain(), laid_out(plain(), layout)
    assert b._walk(b.origin).plan.axes == tuple(sorted(layout[2:]))
    for name in a.ops[1:]:
        f, g = a[name], b[name]
        assert (f.size, f.stride, f.start, f.basis) == (g.size, g.stride, g.start, g.basis)
        assert ordered(g.shape, layout) == f.shape
        for (lo, hi), (low, high) in zip(zip(*f.regions(), strict=True), zip(*g.regions(), strict=True), strict=True):
            assert np.array_equal(lo, low) and np.array_equal(hi, high)
        unit = tuple(n // 3 for n in f.units)
        assert np.array_equal(f.support(unit).mask, g.support(unit).mask)
        assert f.paths(0).counts == g.paths(0).counts
    assert [(c.macs, c.weights) for c in costs(a)] == [(c.macs, c.weights) for c in costs(b)]
    assert str(a.findings()) == str(b.findings()).replace(str(b.graph.ops[0].shape), str(a.graph.ops[0].shape))


def test_expected_fields_are_the_same() -> None:
    a, b = plain(), laid_out(plain(), LAST)
    last = a.ops[-1]
    assert a[last].expected().sigma == pytest.approx(b[last].expected().sigma, rel=1e-12)
    assert np.allclose(a[last].expected().map, b[last].expected().map, rtol=1e-12, atol=0)


@pytest.mark.parametrize("edits", [{"conv2": {"dilation": 1}}, {"conv": {"kernel": 7, "padding": 3}}, {"pool": {"stride": 1}}])
def test_what_if(edits: dict[str, dict[str, int]]) -> None:
    a, b = plain(), laid_out(plain(), LAST)
    edits = {next(n for n in a.ops if n.startswith(name)): edit for name, edit in edits.items()}
    one, two = a.what_if(edits), b.what_if(edits)
    assert [one[n].size for n in one.ops[1:]] == [two[n].size for n in two.ops[1:]]
    assert [one[n].shape for n in one.ops] == [ordered(two[n].shape, LAST) for n in two.ops]


def test_what_if_at_another_size_names_the_ops_own_axes() -> None:
    a, b = plain(), laid_out(plain(), LAST)
    one, two = a.what_if(input_size=(1, 3, 80, 56)), b.what_if(input_size=(1, 80, 56, 3))
    assert [one[n].shape for n in one.ops] == [ordered(two[n].shape, LAST) for n in two.ops]
    notes = [i.what for i in two.graph.issues]
    assert [i.what.replace("axis 2", "axis 1") for i in one.graph.issues] == notes and notes
    with pytest.raises(UsageError, match="channels"):
        b.what_if(input_size=(1, 40, 56, 4))


def test_space_is_where_the_first_window_slides() -> None:
    def graph(shape: tuple[int, ...], *ops: Op) -> Graph:
        return check(Graph((Op("x", "input", shape), *ops), (len(ops),)))

    window = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "pad": (1, 1)}
    sole = Op("u", "reshape", (1, 3, 8, 9), (0,), {"pairs": ((1, 0), (2, 1), (3, 2))})
    unbatched = graph((3, 8, 9), sole, Op("c", "conv", (1, 5, 8, 9), (1,), window))
    assert Analysis(unbatched, None, "").__getitem__("c").size == (3, 3)
    swapped = Op("t", "transpose", (1, 3, 8, 9), (0,), {"perm": (0, 3, 1, 2)})
    assert Analysis(graph((1, 8, 9, 3), swapped, Op("c", "conv", (1, 5, 8, 9), (1,), window)), None, "")["c"].region((0, 0)).hi == (2, 2)
    lone = Op("u", "reshape", (1, 1, 9, 3), (0,), {"pairs": ((0, 0), (2, 1), (3, 2))})
    row = Op("c", "conv", (1, 1, 9, 5), (1,), {**window, "kernel": (1, 3), "pad": (0, 1), "layout": (0, 3, 1, 2)})
    assert Analysis(graph((1, 9, 3), lone, row), None, "")["c"].size == (3,)
    blocks = Op("b", "reshape", (1, 4, 2, 5, 2, 3), (0,))
    depth = Op("d", "reshape", (1, 4, 5, 12), (2,))
    ops = (blocks, Op("t", "transpose", (1, 4, 5, 2, 2, 3), (1,), {"perm": (0, 1, 3, 2, 4, 5)}), depth)
    last = Op("c", "conv", (1, 4, 5, 7), (3,), {**window, "layout": (0, 3, 1, 2)})
    assert Analysis(graph((1, 8, 10, 3), *ops, last), None, "")["c"].size == (6, 6)
    frame = Op("f", "reshape", (5, 8, 9, 3), (0,), {"pairs": ((0, 1), (1, 2), (2, 3), (3, 4))})
    video = Analysis(graph((1, 5, 8, 9, 3), frame, Op("c", "conv", (5, 8, 9, 7), (1,), {**window, "layout": (0, 3, 1, 2)})), None, "")
    assert video["c"].size == (1, 3, 3)  # time, which it does not slide along, is no channel
    one = {k: v[:1] for k, v in window.items()}
    squeezed = Op("s", "reshape", (1, 8, 9), (0,), {"pairs": ((0, 0), (1, 2), (2, 3))})
    assert len(Analysis(graph((1, 1, 8, 9), squeezed, Op("c", "conv", (1, 5, 9), (1,), one)), None, "")["c"].size) == 2  # the usual two
    flat = Op("r", "reshape", (1, 72, 3), (0,))
    assert len(Analysis(graph((1, 8, 9, 3), flat, Op("c", "conv", (1, 5, 3), (1,), one)), None, "")["c"].size) == 2
