"""Layer texts: the grammar, the numbers (held against the same network in PyTorch), and the errors."""

from __future__ import annotations

import contextlib
import random
import re
import time

import pytest
import torch
from torch import nn

import isopter as ip
from isopter.capture.text import parse
from isopter.graph import Graph


def shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Output shape of every op by name."""
    return {op.name: op.shape for op in graph.ops}


def test_names_and_shapes() -> None:
    """Layers are numbered by word; users' names stay, and are numbered in repeats."""
    graph = parse("conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*2\nhead: conv 1, [block: conv 3, relu]*2, gap, fc 10", None)
    assert shapes(graph) == {
        "input": (1, 1, 224, 224),
        "conv1": (1, 1, 112, 112),
        "pool1": (1, 1, 56, 56),
        "conv2": (1, 1, 56, 56),
        "conv3": (1, 1, 56, 56),
        "head": (1, 1, 56, 56),
        "block": (1, 1, 54, 54),
        "relu1": (1, 1, 54, 54),
        "block#2": (1, 1, 52, 52),
        "relu2": (1, 1, 52, 52),
        "gap1": (1, 1, 1, 1),
        "linear1.flatten": (1, 1),
        "linear1": (1, 10),
    }
    assert set(graph.layers) == set(shapes(graph)) - {"input", "linear1.flatten"}
    assert all(graph.ops[i].name == name for name, i in graph.layers.items())
    assert graph.outputs == (len(graph.ops) - 1,)


def test_a_users_name_is_never_reused() -> None:
    """``conv2`` is taken, so the numbers step over it."""
    assert list(parse("conv2: conv 3, conv 3, conv 3", None).layers) == ["conv2", "conv1", "conv3"]
    assert [op.name for op in parse("x.flatten: conv 3, x: fc 2", None).ops] == ["input", "x.flatten", "x.flatten_", "x"]


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("conv 3", (1, 4, 10), (1, 4, 8)),
        ("conv 3", (2, 3, 4, 5, 6), (2, 3, 2, 3, 4)),
        ("conv 3x5", None, (1, 1, 222, 220)),
        ("conv 3x3x3", None, (1, 1, 62, 62, 62)),
        ("conv 3\u00d75", None, (1, 1, 222, 220)),
        ("up 2", (1, 1, 5), (1, 1, 10)),
        ("up 2x1 bilinear", (1, 1, 5, 5), (1, 1, 10, 5)),
        ("up 1.5", (1, 1, 5, 5), (1, 1, 7, 7)),
        ("pool 2", (1, 1, 5, 5), (1, 1, 2, 2)),
        ("pool 2 ceil", (1, 1, 5, 5), (1, 1, 3, 3)),
        ("conv 3 s2 same", (1, 1, 5, 6), (1, 1, 3, 3)),
        ("conv 4 s1 d2 same", (1, 1, 5, 6), (1, 1, 5, 6)),
        ("fc 7", (2, 3, 4, 4), (2, 7)),
        ("fc, fc 3", (2, 3, 4, 4), (2, 3)),
        ("CONV 3, ReLU, MaxPool 2, convT 2 S2", (1, 1, 10, 10), (1, 1, 8, 8)),
        ("\n\n conv 3 ,\n\n conv 3,\n", (1, 1, 9, 9), (1, 1, 5, 5)),
        ("[[conv 3]*2, [relu]]*2", (1, 1, 9, 9), (1, 1, 1, 1)),
        ("conv 1", (1, 1, 1, 1), (1, 1, 1, 1)),
    ],
)
def test_output_shape(text: str, size: tuple[int, ...] | None, expected: tuple[int, ...]) -> None:
    """Sizes as PyTorch computes them."""
    assert parse(text, size).ops[-1].shape == expected


def draw(rng: random.Random, dims: int) -> tuple[str, nn.Module]:
    """One random layer, as text and as a module on four channels."""
    k, s, p, d = ([rng.randint(low, high) for _ in range(dims)] for low, high in ((1, 4), (1, 3), (0, 2), (1, 2)))

    def words(values: list[int]) -> str:
        return "x".join(map(str, values))

    kind = rng.choice(["conv", "dwconv", "pool", "avgpool", "deconv", "up", "relu", "bn"])
    pad = [min(q, n // 2) for q, n in zip(p, k, strict=True)]
    match kind:
        case "conv" | "dwconv":
            groups = 4 if kind == "dwconv" else rng.choice([1, 2])
            made = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](4, 4, k, s, p, d, groups=groups)
            return f"{kind} {words(k)} s{words(s)} p{words(p)} d{words(d)}" + (f" g{groups}" if kind == "conv" else ""), made
        case "pool":
            ceil = rng.random() < 0.5
            made = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[dims - 1](*(tuple(v) for v in (k, s, pad, d)), ceil_mode=ceil)
            return f"pool {words(k)} s{words(s)} p{words(pad)} d{words(d)}{' ceil' * ceil}", made
        case "avgpool":
            made = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[dims - 1](tuple(k), tuple(s), tuple(pad))
            return f"avgpool {words(k)} s{words(s)} p{words(pad)}", made
        case "deconv":
            extra = [rng.randint(0, max(a, b) - 1) for a, b in zip(s, d, strict=True)]
            made = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1](4, 4, k, s, p, extra, dilation=d)
            return f"deconv {words(k)} s{words(s)} p{words(p)} d{words(d)} op{words(extra)}", made
        case "up":
            scale = rng.choice([2, 3])
            mode = rng.choice(["nearest", "linear"])
            theirs = mode if mode == "nearest" else ("linear", "bilinear", "trilinear")[dims - 1]
            return f"up {scale} {mode}", nn.Upsample(scale_factor=scale, mode=theirs)
        case "relu":
            return "relu", nn.ReLU()
        case _:
            return "bn", (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1](4)


@pytest.mark.parametrize("seed", range(60))
def test_text_is_the_network(seed: int) -> None:
    """A random network says the same as a text as it does as a module: shapes, size, stride, start and every region."""
    rng = random.Random(seed)
    dims = rng.randint(1, 3)
    size = (1, 4, *(rng.randint(6, 20) for _ in range(dims)))
    x = torch.zeros(size)
    texts, modules = [], []
    for _ in range(rng.randint(1, 6)):
        text, module = draw(rng, dims)
        try:
            y = module.eval()(x)
        except RuntimeError as error:
            if "smaller than kernel size" not in str(error):  # only 3-D pools of PyTorch leave the padding out of account
                with pytest.raises(ip.UsageError, match="positions along space axis"):
                    parse(text, tuple(x.shape))
            continue
        if y.numel() == 0 or y.numel() > 50_000:
            continue
        x = y
        texts.append(text)
        modules.append(module)
    if not texts:
        return
    ours, theirs = ip.analyze(", ".join(texts), size), ip.analyze(nn.Sequential(*modules), size)
    for name, index in zip(ours.layers, range(len(modules)), strict=True):
        a, b = ours[name], theirs[str(index)]
        assert a.shape == b.shape
        assert (a.size, a.stride, a.start, a.sizes_by_phase, a.exactness) == (b.size, b.stride, b.start, b.sizes_by_phase, b.exactness)
        for mine, other in zip([*a.regions()[0], *a.regions()[1]], [*b.regions()[0], *b.regions()[1]], strict=True):
            assert (mine == other).all()


def test_linear_and_gap_are_the_networks() -> None:
    """The head of a classifier: everything is read."""
    ours = ip.analyze("conv 3, gap, relu, fc 10, fc 2", (1, 4, 8, 8))
    head = (nn.AdaptiveAvgPool2d(1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 10), nn.Linear(10, 2))
    theirs = ip.analyze(nn.Sequential(nn.Conv2d(4, 4, 3), *head), (1, 4, 8, 8))
    for mine, other in (("gap1", "1"), ("linear1", "4"), ("linear2", "5")):
        assert (ours[mine].shape, ours[mine].size, ours[mine].units) == (theirs[other].shape, theirs[other].size, theirs[other].units)


def test_same_padding_is_pytorchs() -> None:
    """At stride 1, PyTorch's ``padding="same"``, even kernels included."""
    for k, d in ((1, 1), (2, 1), (3, 2), (4, 3), (5, 1)):
        ours = ip.analyze(f"conv {k} d{d} same", (1, 1, 20, 20))["conv1"]
        theirs = ip.analyze(nn.Conv2d(1, 1, k, dilation=d, padding="same"), (1, 1, 20, 20))["output"]
        assert (ours.shape, ours.size, ours.start) == (theirs.shape, theirs.size, theirs.start)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("cnv 3", 1, "did you mean conv"),
        ("conv 3, zzz", 9, "no layer is called 'zzz', expected conv"),
        ("conv s2", 1, "needs a kernel"),
        ("pool", 1, "needs a kernel"),
        ("up bilinear", 1, "needs a scale"),
        ("conv 0", 6, "kernel of 0"),
        ("conv 3 s0", 8, "stride of 0"),
        ("conv 3 d0", 8, "dilation of 0"),
        ("conv 3 g0", 8, "groups of 0"),
        ("up 0", 4, "too small"),
        ("up 0.00000001", 4, "too small"),
        ("fc 0", 4, "size of 0"),
        ("conv 3 p-1", 8, "does not take 'p-1'"),
        ("conv 3 x", 8, "does not take 'x'"),
        ("conv 3.5", 6, "whole numbers"),
        ("conv 3 op1", 8, "does not take 'op1'"),
        ("avgpool 3 d2", 11, "does not take 'd2'"),
        ("gap 3", 5, "expected no options"),
        ("relu 3", 6, "expected no options"),
        ("conv 3 3", 8, "given twice"),
        ("conv 3 p1 same", 11, "given twice"),
        ("conv 3 pool 2", 8, "comma before the layer 'pool'"),
        ("conv 3 [conv 3]", 8, "comma before '['"),
        ("conv 3*4", 7, "found '*'"),
        ("conv 3,,conv 3", 8, "second comma"),
        ("[conv 3", 1, "never closed"),
        ("conv 3]", 7, "without its '['"),
        ("[]*3", 1, "empty"),
        ("conv 3, []", 9, "empty"),
        ("[conv 3]*", 10, "repeat count"),
        ("[conv 3]*x", 10, "repeat count"),
        ("[conv 3]*0", 10, "1 or more"),
        ("[conv 3]*-2", 10, "repeat count"),
        ("[conv 1]*20001", 10, "more than 20,000 layers"),
        ("[[[[conv 1]*100]*100]*100]*100", 23, "more than 20,000 layers"),
        ("[conv 1]*" + "9" * 5000, 10, "more than 20,000 layers"),
        ("[" * 5000, 33, "nested more than"),
        ("conv " + "9" * 5000, 6, "too large"),
        ("conv 5000", 6, "too large"),
        ("conv 3x3x3x3", 6, "names 4 axes"),
        ("conv 3x3, conv 3x3x3", 16, "3 axes"),
        ("a: conv 3, a: conv 3", 15, "used twice"),
        ("input: conv 3", 1, "cannot name a layer"),
        ("*: conv 3", 1, "cannot name a layer"),
        ("a b: conv 3", 1, "no layer is called 'a'"),
        ("a: [conv 3]", 4, "belongs to one layer"),
        ("a:", 3, "expected a layer"),
        (":", 1, "expected a layer"),
        ("[pool 2]*9", 2, "pool8: the output would have 0 positions along space axis 0"),
        ("gap, conv 3", 6, "conv1"),
        ("fc 3, conv 3", 7, "needs axes of space"),
        ("fc 3, gap", 7, "needs axes of space"),
        ("conv 3 g3", 8, "divides the 1 channels"),
        ("conv 3 g1x1", 8, "divides"),
        ("fc 3x3", 4, "one number of features"),
        ("pool 3 p2", 8, "half its kernel"),
        ("deconv 3 op1", 10, "output padding"),
        ("[up 4096]*3", 2, "expected 16,777,216 or less"),
        ("conv 3\x00", 6, "does not take"),
        ("\U0001f984 3", 1, "no layer is called"),
    ],
)
def test_errors_point_at_the_fault(text: str, column: int, words: str) -> None:
    """Each names the position, what was expected and an example, with a caret under the fault; nothing else is raised."""
    with pytest.raises(ip.UsageError) as caught:
        parse(text, None)
    message = str(caught.value)
    assert words in message
    assert re.search(rf"(position|column) {column}:", message), message
    assert 'Example: "conv 7' in message
    assert all(c.isprintable() or c == "\n" for c in message)
    lines = message.split("\n")
    assert len(lines) == 4 and max(map(len, lines[1:3])) < 90
    shown, caret = lines[1], lines[2].index("^")
    if column <= len(text) and text[column - 1].isprintable():
        assert shown[caret] == text[column - 1]


def test_wide_characters_keep_the_caret_in_place() -> None:
    """A caret counts terminal columns; the line below is two columns further per wide character."""
    with pytest.raises(ip.UsageError) as caught:
        parse("\u5377\u79ef: conv 3, cnv", None)
    assert str(caught.value).split("\n")[2] == "  " + " " * 14 + "^"


@pytest.mark.parametrize("text", ["", " ", "\n", ",", " , \n ,, "])
def test_empty(text: str) -> None:
    """Nothing is no model."""
    with pytest.raises(ip.UsageError, match="empty"):
        parse(text, None)


@pytest.mark.parametrize("size", [(1,), (1, 1), (1, 1, 2, 2, 2, 2), (1, 1, 0), (1, 1, 2**30)])
def test_wrong_sizes(size: tuple[int, ...]) -> None:
    """N, C and one to three axes of space."""
    with pytest.raises(ip.UsageError):
        parse("conv 1", size)


def test_axes_of_options_and_input_must_agree() -> None:
    """An explicit size wins over what kernels name."""
    with pytest.raises(ip.UsageError, match="the input has 1 axes"):
        parse("conv 3x3", (1, 1, 9))


def test_deep_texts_are_linear() -> None:
    """The largest text allowed costs some ten times as much as a tenth of it; were it the square, a hundred times."""

    def cost(count: int) -> float:
        """Seconds of this process's own work, the least of three: a busy machine makes it wait, not work."""
        found = []
        for _ in range(3):
            before = time.process_time()
            assert len(parse(f"[conv 3 p1]*{count}", None).ops) == count + 1
            found.append(time.process_time() - before)
        return min(found)

    assert cost(20_000) < 40 * cost(2_000)


@pytest.mark.parametrize("seed", range(40))
def test_noise_never_raises_anything_else(seed: int) -> None:
    """Random strings of the grammar's pieces either parse or are a UsageError."""
    rng = random.Random(seed)
    words = ["conv", "pool", "up", "fc", "gap", "3", "s2", "p1", "3x5", "same", "x", "a", "\u00e9", "op1"]
    pieces = [*words, " ", " ", " ", ",", "\n", "[", "]", "*", ":", "\t", "-"]
    for _ in range(200):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(0, 14)))
        with contextlib.suppress(ip.UsageError):
            parse(text, (1, 1, 30, 30))
