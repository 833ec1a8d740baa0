"""Models that try to mislead the recorder. Nothing may be missed, and the model must stay as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import isopter as ip
from truth import check


class Hostile(nn.Module):
    """A forward over a few parts: c, d convolutions; w, pos weights; b a buffer; g a GRU; tab a table."""

    def __init__(self, run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run
        self.c, self.d = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.w, self.pos = nn.Parameter(torch.rand(1, 2, 1, 1)), nn.Parameter(torch.rand(1, 37, 2))
        self.tab = nn.Parameter(torch.rand(2, 16))
        self.register_buffer("b", torch.rand(3))
        self.g = nn.GRU(2, 2, batch_first=True)
        self.plain, self.seen = torch.zeros(2), []

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def _weight_view(s: Hostile, x: Tensor) -> Tensor:
    o = s.w.expand(1, 2, 6, 6).clone()
    o[:, :, 1:] += s.c(x)[:, :, :-1]
    return o + x


def _class_token(s: Hostile, x: Tensor) -> Tensor:
    o = s.pos.clone()
    o[:, 1:] = s.c(x).flatten(2).transpose(1, 2)
    return o + x.mean(1).flatten(1)[:, :1, None]


def _loop(s: Hostile, x: Tensor) -> Tensor:
    o = s.w.repeat(1, 1, 6, 6)
    for i in range(6):
        o[:, :, i] = o[:, :, i] + x[:, :, 5 - i]
    return o


def _out_argument(s: Hostile, x: Tensor) -> Tensor:
    o = torch.empty(0)
    torch.cat([s.c(x), s.d(x)], 1, out=o)
    return o


def _out_same_shape(s: Hostile, x: Tensor) -> Tensor:
    o = s.c(x)
    torch.add(x, x, out=o)
    return o


def _set_data(s: Hostile, x: Tensor) -> Tensor:
    y = x.clone()
    y.data = s.c(x)
    return y


def _foreach(s: Hostile, x: Tensor) -> Tensor:
    z = x.clone()
    torch._foreach_add_([z], [s.c(x)])
    return z


def _unsqueeze_in_place(s: Hostile, x: Tensor) -> Tensor:
    y = s.c(x)
    y.unsqueeze_(1)
    return y.mean(2)


def _squeeze_in_place(s: Hostile, x: Tensor) -> Tensor:
    y = s.c(x).sum(1, keepdim=True)
    y.squeeze_(1)
    return y.cumsum(1)


def _views_of_views(s: Hostile, x: Tensor) -> Tensor:
    y = s.c(x)
    a, b = y[:, :, 1:5], y.transpose(2, 3)
    a[:, :, ::2].add_(x[:, :, :2])
    b[:, :, 0] = 0
    return a.flip(2) + y[:, :, :4]


def _last_state(s: Hostile, x: Tensor) -> Tensor:
    steps = s.c(x).flatten(2).transpose(1, 2)[:, :18]
    first = x.flatten(2)[:, :, 18:].mean(2).view(1, 1, 2)
    return s.g(steps, first.contiguous())[1]


def _two_indices(s: Hostile, x: Tensor) -> Tensor:
    z = torch.cat([x[0], x[0, :1] * 2])
    i, j = (z[0] * 3).long().clamp(0, 2)[:4], (z[1] * 2).long().clamp(0, 5)[:4]
    return z[i, :, j]


SOUND: dict[str, Callable[[Hostile, Tensor], Tensor]] = {
    "write through a view of a weight": _weight_view,
    "class token": _class_token,
    "rows of a weight in a loop": _loop,
    "out= resized": _out_argument,
    "out= same shape": _out_same_shape,
    ".data =": _set_data,
    "foreach": _foreach,
    "unsqueeze_": _unsqueeze_in_place,
    "squeeze_": _squeeze_in_place,
    "views of views": _views_of_views,
    "first state of a GRU": _last_state,
    "two computed indices": _two_indices,
    "as_strided of transposed memory": lambda s, x: s.c(x).transpose(2, 3).as_strided((1, 2, 6, 6), (72, 36, 6, 1)),
    "as_strided of channels last": lambda s, x: (
        s.c(x).contiguous(memory_format=torch.channels_last).as_strided((1, 2, 6, 6), (72, 1, 12, 2))
    ),
    "searchsorted": lambda s, x: torch.searchsorted(x.mean(1).view(6, 6).cumsum(1), torch.linspace(0, 9, 36).view(6, 6)) + 0.0,
    "columns of a table": lambda s, x: s.tab[:, (x.flatten() * 3).long().clamp(0, 15)],
    "unique": lambda s, x: x + torch.unique(x).sum(),
    "nonzero": lambda s, x: x + x[torch.nonzero(x > 0.7, as_tuple=True)].sum(),
    "masked_select": lambda s, x: x + x.masked_select(torch.ones(6, 6, dtype=torch.bool)).view(1, 2, 6, 6).cumsum(3),
    "linear attention": lambda s, x: x.flatten(2).transpose(1, 2) @ (x.flatten(2) @ s.c(x).flatten(2).transpose(1, 2)),
    "scale of a norm": lambda s, x: F.layer_norm(x, (6,), weight=x.mean((0, 1, 2))),
    "filters from data": lambda s, x: F.conv2d(x, x[0, :, :3, :3].mean(0).expand(2, 2, 3, 3)),
}


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_missed(name: str) -> None:
    model = Hostile(SOUND[name])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    report = check(model, (1, 2, 6, 6))
    assert report.checked and not [w for w in report.wrong if "missed" in w]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    "run",
    [
        lambda s, x: x * x.mean().item(),
        lambda s, x: x + torch.tensor(x.tolist()).flip(2),
        lambda s, x: x + torch.from_numpy(np.array(x.detach().numpy()[:, :, ::-1].copy())),
    ],
)
def test_values_that_leave_for_python_are_declared(run: Callable[[Hostile, Tensor], Tensor]) -> None:
    a = ip.analyze(Hostile(run), (1, 2, 6, 6))
    assert a["output"].exactness != "exact" and any("read in Python" in str(i) for i in a.issues)


def test_random_masks_are_not_known() -> None:
    """What one draw drops, another keeps."""
    net = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Dropout(0.9), nn.Conv2d(2, 2, 3, padding=1))
    assert ip.analyze(net, (1, 2, 9, 9), training=True)["2"].support((4, 4)).count == 25
    for run in (lambda s, x: s.c(x * (torch.rand(1, 1, 6, 6) > 0.5)), lambda s, x: s.c(F.dropout(x, 0.5))):
        assert ip.analyze(Hostile(run), (1, 2, 6, 6))["output"].support((3, 3)).count == 9


def _spoil(s: Hostile, x: Tensor) -> Tensor:
    s.b = 0.9 * s.b + 0.1 * x.mean()
    s.seen.append(x)
    s.last = x
    s.plain += 1
    s.c.weight.requires_grad_(False)
    s.d.weight.grad = torch.zeros_like(s.d.weight)
    return s.c(x)


@pytest.mark.parametrize(
    "run",
    [
        _spoil,
        lambda s, x: (torch.add(s.b, 1, out=s.b), s.c(x))[1],
        lambda s, x: (torch._foreach_add_([s.b], 1.0), s.c(x))[1],
        lambda s, x: (s.b.view(-1)[:2].mul_(3), s.c(x))[1],
        lambda s, x: (torch.set_default_dtype(torch.float64), s.c(x))[1],
    ],
)
def test_model_is_left_untouched(run: Callable[[Hostile, Tensor], Tensor]) -> None:
    model = Hostile(run)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    ip.analyze(model, (1, 2, 6, 6))
    after = model.state_dict()
    assert all(after[k].device.type == "cpu" and torch.equal(after[k], v) for k, v in before.items())
    assert model.seen == [] and not hasattr(model, "last") and not model.plain.any()
    assert model.c.weight.requires_grad and model.d.weight.grad is None and torch.get_default_dtype() is torch.float32


def test_a_scalar_beside_the_image() -> None:
    class Timed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.time = nn.Conv2d(2, 2, 3), nn.Linear(1, 2)

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.conv(x) + self.time(t.view(1, 1))[..., None, None]

    inputs = (torch.rand(1, 2, 6, 6), torch.tensor(3.0))
    a = ip.analyze(Timed(), inputs=inputs)
    assert a["output"].size == (3, 3) and "conv" in repr(a) and a.to_dict()["layers"]
    assert "time" not in a  # it does not depend on the image
    assert ip.verify(Timed(), inputs=inputs, units=8).ok


@pytest.mark.parametrize("shape", [(1, 2, 0, 5), (0, 2, 5, 5)])
def test_empty_input(shape: tuple[int, ...]) -> None:
    model = nn.ReLU()
    a = ip.analyze(model, inputs=(torch.zeros(shape),))
    repr(a)
    with pytest.raises(ip.UsageError, match="empty"):
        ip.verify(model, inputs=(torch.zeros(shape),))


def test_traced_modules_and_changing_state() -> None:
    x = torch.rand(1, 2, 6, 6)
    assert ip.analyze(torch.jit.script(nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU())), (1, 2, 6, 6)).outputs
    assert ip.analyze(torch.jit.trace(nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU()), x), (1, 2, 6, 6)).outputs
    spectral = nn.Sequential(torch.nn.utils.spectral_norm(nn.Conv2d(2, 2, 3)))
    assert ip.verify(spectral, (1, 2, 6, 6), training=True, units=8).missed == 0
