"""However a model is wrapped, configured or written, its fields are those of the plain network, and it is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import isopter as ip
from lambdas import Lambda
from untouched import left_as_it_was

SIZE = (1, 2, 9, 9)
Run = Callable[..., Any]


def conv(**options: Any) -> nn.Conv2d:
    return nn.Conv2d(2, 2, 3, padding=1, **options)


def plain() -> nn.Sequential:
    """Two 3x3 convolutions: every unit sees 5x5 pixels."""
    return nn.Sequential(conv(), conv())


def net(run: Run, **parts: Any) -> Lambda:
    """A function of the input and of convolutions c and d."""
    return Lambda(run, **{"c": conv(), "d": conv()} | parts)


def fields(model: nn.Module, **given: Any) -> tuple[Any, ...]:
    """What the last output reads, unit by unit; the model must stay as it was."""
    with left_as_it_was(model):
        analysis = ip.analyze(model, **given or {"input_size": SIZE})
    field = analysis[analysis.outputs[-1]]
    low, high = field.regions(context=True)
    corners = [np.broadcast_to(array, field.units).tolist() for array in (*low, *high)]
    return field.size, field.stride, field.start, field.exactness, field.context, corners, len(analysis.issues)


def same(model: nn.Module, reference: nn.Module | None = None, prove: bool = True, **given: Any) -> None:
    """`model` has the fields of `reference` (two convolutions), exactly and without issues; `verify` agrees."""
    assert fields(model, **given) == fields(reference or plain())
    if prove:
        with left_as_it_was(model):
            assert ip.verify(model, **given or {"input_size": SIZE}, units=8).ok


# ---- precision, memory and devices -------------------------------------------------------------------------------------


def _in_autocast(device: str | None, x: Tensor, c: nn.Module, d: nn.Module) -> Tensor:
    with torch.autocast(device or x.device.type):
        return d(c(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precisions(dtype: torch.dtype) -> None:
    same(nn.Sequential(plain(), nn.BatchNorm2d(2)).to(dtype))
    same(net(lambda x, c, d: d(c(x).to(dtype)), d=conv(dtype=dtype)))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_autocast() -> None:
    for device in ("cpu", "cuda", None):
        same(net(lambda x, c, d, at=device: _in_autocast(at, x, c, d)))
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            same(plain())
            assert torch.is_autocast_enabled("cpu")
    assert torch.autocast.__enter__.__name__ == "__enter__"


def test_other_inputs_than_float() -> None:
    for image in (torch.rand(SIZE) > 0.5, torch.zeros(SIZE, dtype=torch.uint8), torch.zeros(SIZE, dtype=torch.int64)):
        same(net(lambda x, c, d: d(c(x.float()))), inputs=(image,))
    same(net(lambda x, c, d: torch.view_as_real(torch.complex(d(c(x)), d(c(x))))[..., 0]))


@pytest.mark.filterwarnings("ignore:Complex modules:UserWarning")
def test_complex_weights() -> None:
    model = conv(dtype=torch.complex64)
    assert ip.analyze(model, SIZE)["output"].size == (3, 3)
    assert ip.verify(model, SIZE, units=8).ok


def test_memory_formats() -> None:
    last = torch.channels_last
    same(plain().to(memory_format=last))
    same(plain(), inputs=(torch.rand(SIZE).to(memory_format=last),))
    same(net(lambda x, c, d: d(c(x.contiguous(memory_format=last))).contiguous()))
    same(plain(), inputs=(torch.rand(1, 9, 9, 2).permute(0, 3, 1, 2),))
    cube = ip.analyze(nn.Conv3d(2, 2, 3, padding=1).to(memory_format=torch.channels_last_3d), (1, 2, 5, 5, 5))
    assert cube["output"].size == (3, 3, 3)


DEVICES: dict[str, Run] = {
    "to cuda": lambda x, c, d: d(c(x.to("cuda"))),
    "to cuda 0": lambda x, c, d: d(c(x.to(torch.device("cuda:0"), non_blocking=True))),
    "cuda and back": lambda x, c, d: d(c(x.cuda())).cpu(),
    "zeros on cuda": lambda x, c, d: d(c(x)) + torch.zeros(9, device="cuda"),
    "on x.device": lambda x, c, d: d(c(x)) + torch.zeros(9, 9, device=x.device),
    "on weight.device": lambda x, c, d: d(c(x)) + torch.arange(9, device=c.weight.device),
    "new_tensor": lambda x, c, d: d(c(x)) + x.new_tensor([1.0, 2.0])[:, None, None],
    "same device asked": lambda x, c, d: d(c(x)) if x.device == c.weight.device and not x.is_meta else x,
    "type of the weight": lambda x, c, d: d(c(x.to(c.weight))).type(torch.FloatTensor),
    "index made on x.device": lambda x, c, d: d(c(x)).index_select(1, torch.arange(1, -1, -1, device=x.device)),
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="what happens where there is no GPU")
@pytest.mark.parametrize("name", DEVICES)
def test_devices(name: str) -> None:
    same(net(DEVICES[name]))


def test_meta_models() -> None:
    with torch.device("meta"):
        large = nn.Sequential(nn.Conv2d(2, 50_000, 3, padding=1), nn.Conv2d(50_000, 50_000, 3, padding=1), nn.Conv2d(50_000, 2, 1))
        small = plain()
    same(large, prove=False)  # 90 GB
    with pytest.raises(ip.CaptureError, match=r"90 GB.*smaller model"):
        ip.verify(large, SIZE)
    same(small)
    with pytest.raises(ip.UsageError, match="as-is"):
        ip.verify(small, SIZE, weights="as-is")
    half = plain()
    half[1].to("meta")
    same(half)


def test_values_of_meta_buffers_are_not_made_up() -> None:
    with torch.device("meta"):
        model = net(lambda x, c, d, index: c(x)[:, :, index], index=torch.arange(8, -1, -1))
    assert ip.analyze(model, SIZE)["output"].exactness == "data_dependent"
    assert ip.analyze(model, SIZE)["output"].region((0, 0)).size == (9, 2)
    model.index = torch.arange(8, -1, -1)
    assert ip.analyze(model, SIZE)["output"].region((0, 0)).lo == (7, 0)


def test_default_device() -> None:
    model = plain()
    with torch.device("meta"):
        same(model)
    torch.set_default_device("meta")
    try:
        same(model)
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)


# ---- wrappers ----------------------------------------------------------------------------------------------------------


def _compiled_after_use() -> nn.Module:
    model = torch.compile(plain(), backend="eager")
    model(torch.rand(SIZE))
    return model


def _compiled_in_place() -> nn.Module:
    model = plain()
    model[0].compile()
    model.compile()
    return model


@pytest.mark.parametrize("make", [lambda: torch.compile(plain()), _compiled_after_use, _compiled_in_place])
def test_compiled(make: Callable[[], nn.Module]) -> None:
    same(make())


def test_compiled_function_inside() -> None:
    same(net(lambda x, c, d: torch.compile(lambda y: d(c(y)), fullgraph=True)(x)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_script_modules() -> None:
    scripted, traced = torch.jit.script(plain()), torch.jit.trace(plain(), torch.rand(SIZE))
    same(scripted)
    same(traced)
    same(nn.Sequential(scripted, nn.ReLU()))
    assert scripted.training
    for model in (scripted, traced):
        analysis = ip.analyze(model, SIZE)
        assert analysis.layers == ("0", "1", "output") and analysis["0"].size == (3, 3)
    frozen = torch.jit.freeze(torch.jit.script(plain().eval()))
    same(frozen, prove=False)
    with pytest.raises(ip.CaptureError, match=r"float64.*frozen modules cannot be: verify the model"):
        ip.verify(frozen, SIZE)
    with pytest.raises(ip.CaptureError, match=r"out of PyTorch's sight.*before torch\.jit\.optimize"):
        ip.analyze(torch.jit.optimize_for_inference(torch.jit.script(plain().eval())), SIZE)


def test_graph_modules() -> None:
    same(torch.fx.symbolic_trace(plain()))
    exported = torch.export.export(plain(), (torch.rand(SIZE),))
    same(exported.module())
    assert ip.analyze(exported.module(), SIZE)["0"].size == (3, 3)
    assert ip.analyze(exported)["0"].size == (3, 3)


FUNCTORCH: dict[str, Run] = {
    "vmap": lambda x, c, d: torch.vmap(lambda y: d(c(y[None]))[0])(x),
    "functional_call": lambda x, c, d: torch.func.functional_call(d, dict(d.named_parameters()), (c(x),)),
    "jvp": lambda x, c, d: torch.func.jvp(lambda y: d(c(y)), (x,), (torch.ones_like(x),))[0],
}


@pytest.mark.parametrize("name", FUNCTORCH)
def test_functorch(name: str) -> None:
    same(net(FUNCTORCH[name]))


def test_data_parallel() -> None:
    model = nn.DataParallel(plain())
    same(model)
    assert {"module", "module.0", "module.1"} <= {*ip.analyze(model, SIZE).layers}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_distributed(tmp_path: Any) -> None:
    import torch.distributed as dist

    if not dist.is_available():
        pytest.skip("torch without torch.distributed")
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        model = DistributedDataParallel(plain())
        same(model)
        assert {"module", "module.0", "module.1"} <= {*ip.analyze(model, SIZE).layers}
        same(nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(plain(), nn.BatchNorm2d(2))))
        sharded = plain()
        fully_shard(sharded, mesh=init_device_mesh("cpu", (1,)))
        for model in (sharded, FullyShardedDataParallel(plain(), device_id=torch.device("cpu"))):
            same(model, prove=False)
            with pytest.raises(ip.CaptureError, match=r"cannot be copied.*before it was wrapped or sharded"):
                ip.verify(model, SIZE)
    finally:
        dist.destroy_process_group()


# ---- weights that are computed, shared or late -------------------------------------------------------------------------


def _parametrised(change: Callable[[nn.Module], object]) -> nn.Module:
    model = plain()
    change(model[0])
    return model


WEIGHTS: dict[str, Callable[[], nn.Module]] = {
    "weight_norm, old": lambda: _parametrised(torch.nn.utils.weight_norm),
    "weight_norm": lambda: _parametrised(parametrizations.weight_norm),
    "spectral_norm, old": lambda: _parametrised(torch.nn.utils.spectral_norm),
    "spectral_norm": lambda: _parametrised(parametrizations.spectral_norm),
    "orthogonal": lambda: _parametrised(parametrizations.orthogonal),
    "pruned": lambda: _parametrised(lambda m: prune.random_unstructured(m, "weight", 0.0)),
    "lazy": lambda: nn.Sequential(nn.LazyConv2d(2, 3, padding=1), nn.LazyBatchNorm2d(), nn.LazyConv2d(2, 3, padding=1)),
    "one convolution, twice": lambda: nn.Sequential(*[conv()] * 2),
    "weights of others": lambda: net(lambda x, c, d: F.conv2d(c(x), d.weight, d.bias, padding=1)),
    "in a list": lambda: _unregistered([conv(), conv()]),
    "in a closure": lambda: _unregistered((lambda parts: [lambda x: parts[1](parts[0](x))])([conv(), conv()])),
    "weight written": lambda: net(lambda x, c, d: (c.weight.data.clamp_(-9, 9), nn.init.ones_(d.weight), d(c(x)))[2]),
}


def _unregistered(parts: list[Any]) -> nn.Module:
    model = Lambda(lambda x: nn.Sequential(*parts)(x) if isinstance(parts[0], nn.Module) else parts[0](x))
    model.parts = parts
    return model


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("training", [False, True])
def test_weights(name: str, training: bool) -> None:
    if name == "lazy" and training:
        pytest.skip("its batch norm reads the map")
    model = WEIGHTS[name]()
    same(model)
    with left_as_it_was(model):
        assert ip.analyze(model, SIZE, training=training)["output"].size == (5, 5)


def test_cached_parametrisations_are_not_spoiled() -> None:
    model = _parametrised(parametrizations.weight_norm)
    with torch.nn.utils.parametrize.cached():
        before = model(torch.ones(SIZE))
        same(model)
        assert torch.equal(model(torch.ones(SIZE)), before)


def test_weights_that_cannot_be_copied_are_shared() -> None:
    import threading

    model = net(lambda x, c, d: d(c(x)) if x.sum() < 1e9 else x)
    model.lock, model.steps = threading.Lock(), iter([])
    assert ip.analyze(model, SIZE)["output"].size == (5, 5) and ip.verify(model, SIZE, units=8).ok
