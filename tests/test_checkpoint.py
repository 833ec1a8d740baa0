"""Weights from files: every layout training scripts write, exact names and shapes, and nothing in a file is ever run."""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import pickle
import random
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from isopter import MissingExtra, UsageError
from isopter.capture.torch.checkpoint import DEEPEST, NAMES, _states, load_weights

State = dict[str, Tensor]

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # old programs are among the files


def net(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Sequential(nn.Conv2d(width, 2, 1)))


def trained() -> State:
    torch.manual_seed(5)
    return {k: torch.rand_like(v) if v.is_floating_point() else v + 3 for k, v in net().state_dict().items()}


def holds(model: nn.Module, state: State) -> bool:
    return all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


# ---- layouts -----------------------------------------------------------------------------------------------------------

Layout = Callable[[State], Any]
LAYOUTS: dict[str, Layout] = {
    "weights alone": lambda s: s,
    "ordered": collections.OrderedDict,
    "parameters": lambda s: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
    "state_dict beside numbers": lambda s: {"epoch": 3, "best": torch.tensor(0.9), "state_dict": s, "optimizer": {0: {"m": torch.rand(3)}}},
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=0.1, layers=[1, 2])},
    "model_state_dict in module": lambda s: {"module": {"model_state_dict": s}},
    "DataParallel": lambda s: {f"module.{k}": v for k, v in s.items()},
    "Lightning, compiled": lambda s: {"state_dict": {f"model._orig_mod.{k}": v for k, v in s.items()}, "hparams": {"a": (1, None)}},
    "wrapped twice": lambda s: {"model": {f"module.model.{k}": v for k, v in s.items()}},
    "a part compiled": lambda s: {k.replace("2.0.", "2._orig_mod.0."): v for k, v in s.items()},
    "the average only": lambda s: {"state_dict_ema": s},
    "the average does not fit": lambda s: {"ema": {"x": torch.rand(2)}, "net": s},
    "weights first, averages last": lambda s: {"ema": {k: v * 0 for k, v in s.items()}, "state_dict": s},
    "double precision": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pth.tar"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout: str, suffix: str, tmp_path: Path) -> None:
    state, model = trained(), net()
    load_weights(model, saved(tmp_path / f"w{suffix}", LAYOUTS[layout](state)))
    assert holds(model, state)


@pytest.mark.parametrize("options", [{"_use_new_zipfile_serialization": False}, {"pickle_protocol": 2}])
def test_old_files(options: dict[str, Any], tmp_path: Path) -> None:
    state, model = trained(), net()
    load_weights(model, str(saved(tmp_path / "w.pth", {"state_dict": state, "args": argparse.Namespace(a=1)}, **options)))
    assert holds(model, state)


def test_safetensors(tmp_path: Path) -> None:
    for prefix in ("", "module."):
        state, model = trained(), net()
        save_file({prefix + k: v for k, v in state.items()}, tmp_path / "w.safetensors", {"format": "pt"})
        load_weights(model, tmp_path / "w.safetensors")
        assert holds(model, state)


def test_the_model_stays_what_it_is_but_for_its_values(tmp_path: Path) -> None:
    model = net().train()
    model[0].weight.requires_grad_(False)
    parameters = list(model.parameters())
    load_weights(model, saved(tmp_path / "w.pt", {k: v.half() if v.is_floating_point() else v for k, v in trained().items()}))
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True)) and model.training
    assert not model[0].weight.requires_grad and model[1].weight.requires_grad and model[0].weight.dtype == torch.float32


def test_names_that_begin_like_a_wrapper_are_left(tmp_path: Path) -> None:
    """A model may call a part of itself `model`."""
    model = nn.Module()
    model.model = net()
    state = {f"model.{k}": v for k, v in trained().items()}
    load_weights(model, saved(tmp_path / "w.pt", state))
    assert holds(model, state)


def test_a_model_may_translate_old_names(tmp_path: Path) -> None:
    class Renamed(nn.Conv2d):
        def _load_from_state_dict(self, state: State, prefix: str, *rest: Any) -> None:
            state[prefix + "weight"] = state.pop(prefix + "kernel")
            super()._load_from_state_dict(state, prefix, *rest)

    model = nn.Sequential(Renamed(1, 1, 3, bias=False))
    weight = torch.rand(1, 1, 3, 3)
    load_weights(model, saved(tmp_path / "w.pt", {"0.kernel": weight}))
    assert torch.equal(model[0].weight, weight)


# ---- what does not fit -------------------------------------------------------------------------------------------------


def without(state: State, *names: str) -> State:
    return {k: v for k, v in state.items() if k not in names}


MISFITS: dict[str, tuple[Layout, str]] = {
    "missing": (lambda s: without(s, "0.bias", "1.weight"), "fit Sequential: 2 missing: 0.bias is missing; 1.weight is missing. Give"),
    "unexpected": (lambda s: {**s, "head.weight": s["0.bias"]}, "1 not in the model: head.weight is not in the model"),
    "shape": (lambda s: {**s, "0.bias": torch.rand(5)}, r"1 of another shape: 0.bias has shape \(5,\), and the model's has \(4,\)"),
    "all three": (
        lambda s: {**without(s, "1.bias"), "0.bias": torch.rand(5), "x": s["0.bias"]}, "1 missing, 1 of another shape, 1 not in the model",
    ),
    "many": (lambda s: {f"encoder.{k}": v for k, v in s.items()}, "9 missing, 9 not in the model: (0.weight|.*; ){3}.*encoder.0.weight"),
    "values nobody has": (lambda s: {**s, "0.bias": torch.empty(4, device="meta")}, "do not fit Sequential: .*meta"),
    "no names": (lambda s: list(s.values()), r"holds no weights by name. Expected a state dict, or a dict with one under state_dict"),
    "one tensor": (lambda s: s["0.bias"], "holds no weights by name"),
    "nothing": (lambda s: {}, "holds no weights by name"),
    "numbers": (lambda s: {"epoch": 3, "model": {"lr": 0.1}}, "holds no weights by name"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_refused_and_the_model_left_alone(name: str, tmp_path: Path) -> None:
    layout, message = MISFITS[name]
    model = net()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(UsageError, match=message):
        load_weights(model, saved(tmp_path / "w.pt", layout(trained())))
    assert holds(model, before)


def test_dicts_in_dicts_end(tmp_path: Path) -> None:
    """A long chain in which every name leads on, and a name of a thousand prefixes: each dict is looked at once."""
    chain: dict[str, Any] = {}
    for _ in range(300):
        chain = {**dict.fromkeys(NAMES, chain), "x": torch.rand(1)}
    assert len(list(_states(chain, set()))) == DEEPEST + 1
    for content in (chain, {"module." * 1000 + "x": torch.rand(1)}):
        with pytest.raises(UsageError, match="9 missing, 1 not in the model"):
            load_weights(net(), saved(tmp_path / "w.pt", content))


# ---- files that are none, and files that mean harm ---------------------------------------------------------------------


class Evil:
    """Pickled, it makes a file when it is read back."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.proof),)


class Method(Evil):
    """The same by a function PyTorch's reader might think harmless."""

    def __reduce__(self) -> Any:
        return eval, (f"__import__('os').mkdir({str(self.proof)!r})",)


def _torch_file(evil: Any, path: Path) -> None:
    torch.save({"state_dict": trained(), "extra": evil}, path)


def _old_file(evil: Any, path: Path) -> None:
    torch.save({"state_dict": trained(), "extra": evil}, path, _use_new_zipfile_serialization=False)


def _plain(evil: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(evil, protocol=4))


def _plain_old(evil: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(evil, protocol=2))


def _script(evil: Any, path: Path) -> None:
    torch.jit.save(torch.jit.script(net()), path)
    _rewrite(path, lambda name, data: pickle.dumps(evil, protocol=2) if name.endswith(".pkl") else data)


def _tar(evil: Any, path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(evil, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _tar_in_disguise(evil: Any, path: Path) -> None:
    """A first name that makes the archive begin as a pickle does."""
    data = pickle.dumps(evil, protocol=2)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name in ("\x80\x02", "storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _rewrite(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, change(name, data))


@pytest.mark.parametrize("evil", [Evil, Method])
@pytest.mark.parametrize("write", [_torch_file, _old_file, _plain, _plain_old, _script, _tar, _tar_in_disguise])
@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".safetensors"])
def test_nothing_in_a_file_is_run(
    evil: type[Evil], write: Callable[[Any, Path], None], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # asks for less care where a program is silent; isopter is not
    proof, path = tmp_path / "proof", tmp_path / f"w{suffix}"
    write(evil(proof), path)
    model = net()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(UsageError, match=r"w\.(pt|ckpt|safetensors) "):
        load_weights(model, path)
    assert not proof.exists() and holds(model, before)


def test_the_proof_would_be_there(tmp_path: Path) -> None:
    """The files of the test above do run code when they are unpickled."""
    for evil in (Evil, Method):
        proof = tmp_path / evil.__name__
        _torch_file(evil(proof), tmp_path / "w.pt")
        torch.load(tmp_path / "w.pt", weights_only=False)
        assert proof.is_dir()


def test_a_refusal_says_why_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"would run code \((posix|nt).mkdir\), so it is refused.*weights_only=False\).*weights.pt"):
        load_weights(net(), saved(tmp_path / "w.pt", {"a": Evil(tmp_path / "proof")}))
    with pytest.raises(UsageError, match=r"would run code \(torch.nn.modules.container.Sequential\)"):
        load_weights(net(), saved(tmp_path / "w.pt", {"model": net()}))
    _tar_in_disguise(Evil(tmp_path / "proof"), tmp_path / "t.pt")
    with pytest.raises(UsageError, match=r"t.pt is an archive of tar"):  # before PyTorch has looked at it
        load_weights(net(), tmp_path / "t.pt")
    torch.jit.save(torch.jit.script(net()), tmp_path / "s.pt")
    with pytest.raises(UsageError, match=r"s.pt holds a program \(of TorchScript or torch.export\)"):
        load_weights(net(), tmp_path / "s.pt")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


NO_FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("w.pt", b"", "is empty"),
    "empty safetensors": ("w.safetensors", b"", "is empty"),
    "a web page": ("w.pth", b"<!DOCTYPE html><html>404</html>", "is no file of weights"),
    "lfs": ("w.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    "start of an archive": ("w.pt", b"PK\x03\x04" + bytes(90), "is damaged, or was cut off"),
    "another archive": ("w.pt", b"", "is an archive of something else"),
    "zeros": ("w.pt", bytes(4096), "is no file of weights"),
    "start of a pickle": ("w.pt", b"\x80\x02", "is damaged"),
    "deep pickle": ("w.pt", b"\x80\x02" + b"(" * 100_000 + b"t" * 99_999 + b".", "is damaged|would run code"),
    "text as safetensors": ("w.safetensors", b"no weights at all", "is no file of safetensors, or is damaged"),
    "header longer than its file": ("w.safetensors", struct.pack("<Q", 2**40) + b"{}", "is damaged"),
    "header of the largest size": ("w.safetensors", struct.pack("<Q", 2**64 - 1) + b"{}", "is damaged"),
    "tensor past the end": (
        "w.safetensors",
        struct.pack("<Q", 90) + json.dumps({"0.bias": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode(),
        "is damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_FILES)
def test_files_that_are_none(name: str, tmp_path: Path) -> None:
    file, data, message = NO_FILES[name]
    path = written(tmp_path / file, data)
    if name == "another archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/readme.txt", "hello")
    with pytest.raises(UsageError, match=message):
        load_weights(net(), path)


def test_paths_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "w.onnx").touch()
    for name, message in {"gone.pt": "does not exist", "": "is a folder", "pipe.pt": "is no regular file", "w.onnx": "by its name"}.items():
        with pytest.raises(UsageError, match=message):
            load_weights(net(), tmp_path / name)


def test_compressed_files_are_refused(tmp_path: Path) -> None:
    """A gigabyte of zeros is a megabyte, compressed."""
    path = saved(tmp_path / "w.pt", trained())
    _rewrite(path, lambda name, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(UsageError, match=r"is compressed, and torch.save never compresses"):
        load_weights(net(), path)


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_damage_anywhere_is_one_clear_error_or_no_harm(kind: str, tmp_path: Path) -> None:
    """Cut off, or with a few bytes changed: a UsageError that names the file, or weights that fit; never a crash."""
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(trained(), path)
    else:
        torch.save(trained(), path, _use_new_zipfile_serialization=kind == "zip")
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    damaged = [whole[: len(whole) * k // 20] for k in range(20)]
    for _ in range(60):
        raw = bytearray(whole)
        for _ in range(3):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        damaged.append(bytes(raw))
    for raw in damaged:
        try:
            load_weights(net(), written(path, raw))
        except UsageError as error:
            assert str(path) in str(error) and len(str(error)) < 1500
            refused += 1
    assert refused >= 20


class Claims:
    """Pickled, a call of PyTorch's own that its reader allows, with numbers of the file's choice."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("old", [False, True])
def test_tensors_that_claim_more_than_the_file_holds(old: bool, tmp_path: Path) -> None:
    """The numbers that are not there would be whatever lies in memory, or take all of it."""
    storage = torch.storage.TypedStorage(wrap_storage=torch.rand(4).untyped_storage(), dtype=torch.float32, _internal=True)
    for size, step in (((2**40,), (1,)), ((4, 3, 3, 3), (27, 9, 3, 1)), ((4,), (2**40,))):
        claim = Claims(torch._utils._rebuild_tensor_v2, storage, 0, size, step, False, collections.OrderedDict())
        path = saved(tmp_path / "w.pt", {**trained(), "0.weight": claim}, _use_new_zipfile_serialization=not old)
        with pytest.raises(UsageError, match=r"w\.pt "):
            load_weights(net(), path)


def test_records_shorter_than_they_say(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", trained())
    _rewrite(path, lambda name, data: data[:8] if name.endswith("data/0") else data)
    with pytest.raises(UsageError, match=r"w.pt is no file of torch.save, or is damaged .*size"):
        load_weights(net(), path)


def test_names_of_a_file_do_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"\x1b[31mred\n" + "x" * 10**6: torch.rand(1)})
    with pytest.raises(UsageError) as caught:
        load_weights(net(), path)
    assert "?[31mred" in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 1500


def test_without_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(trained(), tmp_path / "w.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(MissingExtra, match=r'pip install "isopter\[safetensors\]"'):
        load_weights(net(), tmp_path / "w.safetensors")
