"""Whatever a forward does: control flow on values, hooks, autograd, custom operations, attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint as checkpoints
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention

import isopter as ip
from lambdas import Lambda
from test_robust import SIZE, Run, conv, fields, net, plain, same
from untouched import left_as_it_was

# ---- control flow on values --------------------------------------------------------------------------------------------


def _while(x: Tensor, c: nn.Module, d: nn.Module) -> Tensor:
    steps = 0
    while x.abs().sum() >= 0 and steps < 2:
        x, steps = (c, d)[steps](x), steps + 1
    return x


CHOICES: dict[str, Run] = {
    "if": lambda x, c, d: d(c(x)) if x.mean() > -9 else x,
    "while": _while,
    "torch.cond": lambda x, c, d: torch.cond(x.mean() > -9, lambda y: d(c(y)), lambda y: y * 1.0, (x,)),
    "any": lambda x, c, d: d(c(x)) if not torch.isnan(x).any() else x,
    "allclose": lambda x, c, d: x if torch.allclose(x, x + 1) else d(c(x)),
    "assert": lambda x, c, d: (torch._assert(x.sum() > -99, "low"), d(c(x)))[1],
    "format": lambda x, c, d: (f"{x.mean():.3f}", d(c(x)))[1],
    "item": lambda x, c, d: d(c(x)) if x[0, 0, 0, 0].item() > -9 else x,
    "tolist": lambda x, c, d: d(c(x)) if sum(x.flatten().tolist()) > -99 else x,
}


@pytest.mark.parametrize("name", CHOICES)
def test_control_flow_on_values(name: str) -> None:
    model = nn.Sequential(net(CHOICES[name]))
    with left_as_it_was(model):
        analysis = ip.analyze(model, SIZE)
    assert analysis["output"].size == (5, 5) and analysis["output"].exactness == "data_dependent"
    assert {(i.where, "control path" in i.what) for i in analysis.issues} == {("0", True)}
    with left_as_it_was(model):
        assert ip.verify(model, SIZE, units=8).ok


BOUNDED: dict[str, Run] = {
    "boolean mask": lambda x, c, d: d(c(x)) + x[x > 0.5].sum(),
    "positions": lambda x, c, d: d(c(x)) + torch.nonzero(x > 0.5).sum(),
    "mask read and written": lambda x, c, d: (y := d(c(x)).clone()).masked_scatter_(y > 0, y[y > 0] * 2),
    "through numpy": lambda x, c, d: d(c(x)) + torch.from_numpy(x.numpy()[:, :, ::-1].copy()),
    "through a list": lambda x, c, d: d(c(x)) + torch.tensor(x.tolist()).flip(2),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_shapes_and_numbers_made_of_values_are_bounds(name: str) -> None:
    model = net(BOUNDED[name])
    with left_as_it_was(model):
        analysis = ip.analyze(model, SIZE)
    assert analysis["output"].exactness in ("bound", "data_dependent") and analysis.issues
    assert ip.verify(model, SIZE, units=8).ok


def test_a_fill_by_a_mask_is_exact() -> None:
    def fill(x: Tensor, c: nn.Module, d: nn.Module) -> Tensor:
        y = d(c(x)).clone()
        y[y > 0.5] = 0
        y[:, :, y[0].mean(0) > 0.1] = 2.0
        return y

    same(net(fill))


def test_values_of_weights() -> None:
    for run in (lambda x, c, d: d(c(x)) * c.weight.max().item(), lambda x, c, d: d(c(x)) if c.weight.sum() < 99 else x):
        analysis = ip.analyze(net(run), SIZE)
        assert analysis["output"].exactness == "exact" and analysis["output"].size == (5, 5)
        assert ["values that its weights have" in issue.what for issue in analysis.issues] == [True]
    same(net(lambda x, c, d, n: d(c(x)) if int(n) == 3 else x, n=torch.tensor(3)))


def test_a_path_that_weights_changed_in_place_decide() -> None:
    """The numbers are those that the model computes, and its weights stay."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.small, self.large = nn.Parameter(torch.ones(1)), nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            doubled = (self.w + 0.0).mul_(4).sub_(self.w)
            made: torch.Tensor = (self.small if float(doubled) == 3 else self.large)(x)
            return made

    model = Two()
    assert ip.analyze(model, (1, 1, 9, 9))["output"].size == (3, 3)
    assert model.w.item() == 1


def test_the_path_differs_in_the_probe() -> None:
    model = net(lambda x, c, d: d(c(x))[:, :, : max(1, int(x.argmax() % 9))])
    with pytest.raises(ip.CaptureError, match=r"has shape .* when a pixel changes.*chooses its path by values.*layers="):
        ip.verify(model, SIZE)


# ---- hooks -------------------------------------------------------------------------------------------------------------


class Keeper:
    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self.kept = output


def test_hooks_that_change_data() -> None:
    model = plain()
    model[0].register_forward_hook(lambda module, args, output: output * 2, always_call=True)
    model[1].register_forward_pre_hook(lambda module, args, kwargs: ((F.max_pool2d(args[0], 3, 1, 1),), kwargs), with_kwargs=True)
    model[0].register_full_backward_hook(lambda *args: None)
    same(model, nn.Sequential(conv(), nn.MaxPool2d(3, 1, 1), conv()))


def test_hooks_that_store() -> None:
    kept: dict[str, Tensor] = {}
    listed: list[Any] = []
    keeper, model = Keeper(), plain()
    model[0].register_forward_hook(lambda module, args, output: kept.update(x=output))
    model[0].register_forward_hook(lambda module, args, output: listed.append(output.detach().cpu()))
    model[0].register_forward_hook(lambda module, args, output: setattr(module, "kept", output))
    model[0].register_forward_hook(keeper)
    model[0].register_forward_hook(lambda module, args, output: output.register_hook(lambda gradient: gradient) and None)
    hook = nn.modules.module.register_module_forward_hook(lambda module, args, output: listed.append(output))
    try:
        same(model)
        assert not kept and not listed and not hasattr(model[0], "kept") and not hasattr(keeper, "kept")
        model(torch.rand(SIZE, requires_grad=True))
        assert kept and len(listed) == 4 and model[0].kept is keeper.kept
    finally:
        hook.remove()


def test_hooks_that_come_and_go() -> None:
    model, handles = plain(), []
    handles.append(model[0].register_forward_hook(lambda *args: handles[0].remove()))
    model[1].register_forward_pre_hook(lambda module, args: module.register_forward_hook(lambda *args: None) and None)
    same(model)


def test_hooks_that_raise() -> None:
    def refuse(*args: Any) -> None:
        raise KeyError("not today")

    model = plain()
    model[1].register_forward_hook(refuse)
    with left_as_it_was(model), pytest.raises(ip.CaptureError, match=r"Sequential raised KeyError .*not today"):
        ip.analyze(model, SIZE)


def test_analysis_inside_a_hook() -> None:
    model, seen = plain(), []
    model[0].register_forward_hook(lambda *args: seen.append(ip.analyze(model[1], (1, 2, 5, 5))["output"].size))
    same(model)
    assert set(seen) == {(3, 3)}


# ---- autograd, custom operations, attention ----------------------------------------------------------------------------


class Twice(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


def _inference(x: Tensor, c: nn.Module, d: nn.Module) -> Tensor:
    with torch.inference_mode():
        y = c(x)
    return d(y)


AUTOGRAD: dict[str, Run] = {
    "checkpoint": lambda x, c, d: d(checkpoints.checkpoint(c, x, use_reentrant=False)),
    "reentrant checkpoint": lambda x, c, d: d(checkpoints.checkpoint(c, x, use_reentrant=True)),
    "checkpoint_sequential": lambda x, c, d: checkpoints.checkpoint_sequential(nn.Sequential(c, d), 2, x, use_reentrant=False),
    "inference mode inside": _inference,
    "requires_grad_": lambda x, c, d: d(c(x.requires_grad_())),
    "detach": lambda x, c, d: d(c(x).detach()).data,
    "function": lambda x, c, d: d(Twice.apply(c(x))),
    "function under vmap": lambda x, c, d: d(torch.vmap(Twice.apply)(c(x))),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", AUTOGRAD)
@pytest.mark.parametrize("training", [False, True])
def test_autograd(name: str, training: bool) -> None:
    same(net(AUTOGRAD[name]))
    assert ip.analyze(net(AUTOGRAD[name]), SIZE, training=training)["output"].size == (5, 5)


def test_around_the_call() -> None:
    model = plain()
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
        with mode():
            same(model)
            same(plain())
    same(model, inputs=(torch.rand(SIZE, requires_grad=True),))
    with torch.inference_mode():
        made = plain()
    same(made)


def test_backward_after_an_analysis() -> None:
    model = nn.Sequential(torch.nn.utils.parametrizations.spectral_norm(conv()), nn.BatchNorm2d(2), nn.Dropout(), conv()).train()
    loss = model(torch.rand(SIZE)).sum()
    with left_as_it_was(model):
        ip.analyze(model, SIZE, training=True)
        ip.verify(model, SIZE, training=True, units=4)
    loss.backward()
    assert model[3].weight.grad is not None


def test_dropout_in_training_hides_no_read() -> None:
    assert ip.verify(nn.Sequential(conv(), nn.Dropout(0.9), nn.Dropout2d(), conv()), SIZE, training=True, units=8).ok


@torch.library.custom_op("isopter_robust::no_meta", mutates_args=())
def no_meta(x: Tensor) -> Tensor:
    return torch.from_numpy(np.roll(x.numpy(), 1, -1).copy())


@torch.library.custom_op("isopter_robust::with_meta", mutates_args=())
def with_meta(x: Tensor) -> Tensor:
    return x.roll(1, -1)


with_meta.register_fake(torch.empty_like)


@torch.library.custom_op("isopter_robust::writes", mutates_args=("x",))
def writes(x: Tensor) -> None:
    x.add_(1)


@pytest.mark.parametrize("name", ["no_meta", "with_meta", "writes"])
def test_custom_operations(name: str) -> None:
    model = net(lambda x, c, d: d(y if (made := globals()[name](y := c(x))) is None else made))
    with left_as_it_was(model):
        analysis = ip.analyze(model, SIZE)
    assert analysis["output"].exactness != "exact" and f"No rule for isopter_robust.{name}" in str(analysis.issues[0])
    assert ip.verify(model, SIZE, units=8).ok
    with pytest.raises(ip.UnsupportedOps, match=name):
        ip.analyze(model, SIZE, strict=True)
    same(net(lambda x, c, d: F.conv2d(c(x), with_meta(d.weight), padding=1)))


def test_attention() -> None:
    def heads(x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)[:, None]

    flex = Lambda(lambda x: flex_attention(*[heads(x)] * 3))
    same(flex, Lambda(lambda x: F.scaled_dot_product_attention(*[heads(x)] * 3)))
    causal = Lambda(lambda x: flex_attention(*[heads(x)] * 3, score_mod=lambda s, b, h, i, j: torch.where(i >= j, s, -torch.inf)))
    assert ip.verify(causal, (1, 2, 3, 3), units=9).ok and fields(causal) != fields(flex)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2)
    with left_as_it_was(encoder):
        analysis = ip.analyze(encoder, (1, 7, 4))
    assert {"layers.0.self_attn", "layers.1.linear2"} <= {*analysis.layers} and analysis.exact
    padding = torch.tensor([[False] * 5 + [True] * 2])
    model = Lambda(lambda x, attend: attend(x, x, x, key_padding_mask=padding)[0], attend=nn.MultiheadAttention(4, 2, batch_first=True))
    assert ip.analyze(model, (1, 7, 4), axes=(1,))["output"].support((0,)).count == 5 and ip.verify(model, (1, 7, 4)).ok


def test_nested_tensors_are_refused() -> None:
    model = Lambda(lambda x: torch.nested.to_padded_tensor(torch.nested.nested_tensor([x[0, :3], x[0, 3:]]), 0.0))
    with left_as_it_was(model), pytest.raises(ip.CaptureError, match=r"nested tensor.*padded tensors"):
        ip.analyze(model, (1, 7, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_modules_are_bounds() -> None:
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear}, dtype=torch.qint8)
    analysis = ip.analyze(model, (1, 7, 4))
    assert analysis["output"].exactness == "bound" and "quantized.linear_dynamic" in str(analysis.issues[0])
    with pytest.raises(ip.CaptureError, match=r"float64.*Quantised.*model from which they were made"):
        ip.verify(model, (1, 7, 4))
