"""However a model is called: odd inputs and outputs, threads, other modes, interruptions. It is left as it was."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict, UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import isopter as ip
from test_robust import SIZE, Run, conv, fields, net, plain, same
from untouched import left_as_it_was

# ---- inputs and outputs ------------------------------------------------------------------------------------------------


class Takes(nn.Module):
    def __init__(self, pick: Run) -> None:
        super().__init__()
        self.net, self.pick = plain(), pick

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.net(self.pick(*args, **kwargs))


class OnlyByName(Takes):
    def forward(self, *, image: Tensor, mask: Tensor | None = None, flag: bool = True) -> Tensor:
        return self.net(image if mask is None else image * mask)


@dataclass
class Batch:
    image: Tensor
    number: int = 3


@dataclass(slots=True)
class Slots:
    y: Tensor


class Named(NamedTuple):
    y: Tensor
    z: Tensor


X = torch.rand(SIZE)
INPUTS: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "dict": (lambda: Takes(lambda batch: batch["image"]), ({"image": X, "id": 3},)),
    "user dict": (lambda: Takes(lambda batch: batch.data["image"]), (UserDict(image=X),)),
    "dataclass": (lambda: Takes(lambda batch: batch.image * batch.number), (Batch(X),)),
    "nested lists": (lambda: Takes(lambda xs: xs[0][0] + xs[1]), ([[X], X],)),
    "args": (lambda: Takes(lambda *xs: xs[0] + xs[1]), (X, X)),
    "kwargs": (lambda: Takes(lambda **given: given["x"]), {"x": X}),
    "None between": (lambda: Takes(lambda a, b, c: a if b is None else c), (X, None, X)),
    "by name": (lambda: OnlyByName(lambda: None), {"image": X, "mask": None}),
    "mask": (lambda: OnlyByName(lambda: None), {"image": X, "mask": torch.ones(1, 1, 9, 9)}),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(name: str) -> None:
    make, inputs = INPUTS[name]
    model, analysis = make(), ip.analyze(make(), inputs=inputs)
    assert analysis["output"].size == (5, 5) and analysis.exact
    assert ip.verify(model, inputs=inputs, units=8).ok
    same(OnlyByName(lambda: None))


OUTPUTS: dict[str, tuple[Run, str]] = {
    "dataclass": (Batch, "image"),
    "slots": (Slots, "y"),
    "named tuple": (lambda y: Named(y, y), "output.1"),
    "ordered dict": (lambda y: OrderedDict(y=y), "y"),
    "nested": (lambda y: [{"a": (y,)}], "output.0"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs(name: str) -> None:
    make, key = OUTPUTS[name]
    model = net(lambda x, c, d: make(d(c(x))))
    same(model)
    assert ip.analyze(model, SIZE)[key].size == (5, 5)


def test_inputs_come_back_as_they_were() -> None:
    image = torch.zeros(SIZE)
    same(net(lambda x, c, d: d(c(x.add_(2)))), inputs=(image,))
    assert not image.any()
    assert ip.analyze(nn.Identity(), SIZE)["output"].size == (1, 1)


# ---- surroundings and state --------------------------------------------------------------------------------------------


class Restless(nn.Module):
    """Draws from generators of its own, keeps what it saw, changes itself."""

    def __init__(self, end: type[BaseException] | None = None) -> None:
        super().__init__()
        self.net, self.end, self.seen, self.count = plain(), end, [], 0
        self.torch, self.python, self.numpy = torch.Generator().manual_seed(3), random.Random(3), np.random.default_rng(3)

    def states(self) -> tuple[Any, ...]:
        return self.torch.get_state().tolist(), self.python.getstate(), self.numpy.bit_generator.state

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.seen.append([x])
        self.cache = {"x": x}
        self.register_buffer("late", torch.zeros(2))
        self.python.random(), self.numpy.random(), random.random(), np.random.seed(3), torch.manual_seed(5)
        torch.use_deterministic_algorithms(True)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float64)
        noise = torch.rand(9, generator=self.torch, dtype=torch.float32)
        if self.end is not None:
            raise self.end("over")
        return self.net(x) + noise


def test_state() -> None:
    model = Restless()
    states = model.states()
    same(model)
    assert model.states() == states and model.count == 0 and not model.seen


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit, ZeroDivisionError, StopIteration])
def test_state_after_an_end(end: type[BaseException]) -> None:
    model = Restless(end)
    states = model.states()
    with left_as_it_was(model), pytest.raises(ip.CaptureError if issubclass(end, Exception) else end):
        ip.analyze(model, SIZE)
    assert model.states() == states


def test_inside_other_modes() -> None:
    model = plain()
    with FlopCounterMode(display=False) as counter:
        same(model)
    assert counter.get_total_flops() == 0
    with FakeTensorMode(allow_non_fake_inputs=True):
        same(model)
    with FakeTensorMode():
        fake = plain()
        assert ip.analyze(fake, SIZE)["output"].size == (5, 5)
    same(fake)


def test_reshaping_nothing() -> None:
    """A crop that leaves nothing of a small input, reshaped as if it did."""
    model = net(lambda x, c, d: c(x)[..., :0].reshape(1, 2, 0, 4))
    assert ip.analyze(model, SIZE)["output"].units == (0,)


def test_two_threads() -> None:
    model = nn.Sequential(plain(), nn.BatchNorm2d(2), nn.Dropout()).train()
    found: list[Any] = []

    def work() -> None:
        for _ in range(4):
            analysis = ip.analyze(model, SIZE)
            found.append((analysis.layers, analysis["0"].size, analysis["output"].exactness))

    with left_as_it_was(model):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 12 and set(found) == {(("0.0", "0.1", "0", "1", "2", "output"), (5, 5), "exact")}


def test_fields_differ_where_networks_differ() -> None:
    """The comparison behind all of this can fail."""
    assert fields(plain()) != fields(nn.Sequential(conv(), nn.Conv2d(2, 2, 5, padding=2)))
