"""`Watch`: what it measures and when, that training does not notice, and where it writes."""

from __future__ import annotations

import csv
import importlib.util
import math
import os
import random
import subprocess
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import isopter as ip
from isopter.erf.maps.estimate import Estimate
from isopter.erf.watch import lightning, ranks, watch
from isopter.erf.watch.row import Row, header

SIZE = (1, 2, 12, 14)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3))
    return nn.Sequential(body, nn.Conv2d(4, 3, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def steps(seen: ip.Watch) -> list[int]:
    """Steps of the rows, each once."""
    return list(dict.fromkeys(row.step for row in seen.history))


def small(model: nn.Module, out: Path | None = None, **options: Any) -> ip.Watch:
    return ip.Watch(model, **{"layers": ["1"], "input_size": SIZE, "out": out, "samples": 2, "every": 3} | options)


def plain(row: Row) -> Any:
    """A row's numbers and errors, nan equal to nan."""
    return row.step, row.layer, row.samples, repr([(name, float(v), v.stderr) for name, v in row.numbers()])


# ---- training does not notice ------------------------------------------------------------------------------------------


def train(how: str, seen: Any, out: Path) -> dict[str, Any]:
    """Five steps with dropout, batch norm, momentum and accumulated gradients; all that they leave behind."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), 0.05)
    data = TensorDataset(torch.randn(20, *SIZE[1:]), torch.randint(3, (20,)))
    generator = torch.Generator().manual_seed(3) if how == "generator" else None
    loader = DataLoader(data, 4, shuffle=True, generator=generator)
    torch.manual_seed(11)
    random.seed(11)
    np.random.seed(11)
    view = seen(model, loader, out)
    for number, (images, labels) in enumerate(loader):
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            loss = nn.functional.cross_entropy(model(images + random.random() * np.random.rand()), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            if view is not None:
                view.step()  # between two backward passes: gradients must stay
        if number % 2:
            optimizer.step()
            optimizer.zero_grad()
    if view is not None:
        view.close()
        assert steps(view) == [0, 2, 4, 5]
        assert all(math.isfinite(row.sigma[0]) for row in view.history)
    grads = {f"{name}.grad": p.grad for name, p in model.named_parameters()}
    moments = {f"{k}.{name}": v for k, state in optimizer.state_dict()["state"].items() for name, v in state.items()}
    draws = {"torch": torch.get_rng_state(), "python": random.random(), "numpy": np.random.rand()}
    loaders = {"generator": generator.get_state()} if generator else {}
    return {**model.state_dict(), **grads, **moments, **draws, **loaders, "mode": [m.training for m in model.modules()]}


@pytest.mark.parametrize("how", ["noise", "data", "generator", "autocast", "tensorboard", "training"])
def test_training_is_the_same_to_the_last_bit(how: str, tmp_path: Path) -> None:
    def seen(model: nn.Module, loader: Any, out: Path) -> ip.Watch:
        options = {
            "data": {"data": loader},
            "generator": {"data": loader},
            "tensorboard": {"tensorboard": True},
            "training": {"training": True},
        }
        return small(model, out, every=2, **options.get(how, {}))

    alone, watched = train(how, lambda *_: None, tmp_path), train(how, seen, tmp_path)
    assert alone.keys() == watched.keys()
    for key, value in alone.items():
        same = torch.equal(value, watched[key]) if isinstance(value, Tensor) else value == watched[key]
        assert same, key


def test_training_changes_the_weights_that_are_compared() -> None:
    """The test above would pass for a model that does not train."""
    before, after = network().state_dict(), train("noise", lambda *_: None, Path())
    assert all(not torch.equal(before[key], after[key]) for key in before)


def test_no_hook_stays() -> None:
    model = network()
    small(model).step()
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())


# ---- what is measured, and when ----------------------------------------------------------------------------------------


def test_rows_are_what_effective_finds() -> None:
    model, data = network(), torch.randn(6, *SIZE[1:])
    seen = small(model, layers=["0.0", "1"], data=data, samples=4, statistic="abs", seed=5)
    found = ip.effective(model, ["0.0", "1"], SIZE, data=data, samples=4, statistic="abs", seed=5)
    assert [row.layer for row in seen.history] == ["0.0", "1"] == list(seen.layers) == list(seen.fields)
    for row in seen.history:
        field = found[row.layer]
        wanted = [*field.sigma, *field.center_offset, field.ratio, field.side(0.95)]
        numbers = [value for _, value in row.numbers()]
        assert [(float(v), v.stderr) for v in numbers] == [(float(v), v.stderr) for v in wanted]  # type: ignore[attr-defined]
        assert row.step == 0 and row.samples == 4
        assert np.array_equal(seen.fields[row.layer].map, field.map)


def test_only_the_weights_matter_from_step_to_step() -> None:
    """Same samples and seed: an untrained model gives the same row, a changed one another."""
    model = network()
    seen = small(model, every=1)
    seen.step()
    with torch.no_grad():
        model[1].weight[..., 1:] = 0  # type: ignore[index, operator]
    seen.step()
    first, second, third = seen.history
    assert plain(first)[2:] == plain(second)[2:] != plain(third)[2:]
    assert third.sigma[1] < second.sigma[1] and third.center_offset[1] < -0.5


def test_every_so_many_steps_and_at_the_end() -> None:
    seen = small(network())
    for _ in range(7):
        seen.step()
    assert steps(seen) == [0, 3, 6]
    seen.close()
    seen.close()
    assert steps(seen) == [0, 3, 6, 7]


def test_steps_of_the_users_own() -> None:
    """A multiple that is passed counts as reached; the same step is not measured twice; going back is allowed."""
    seen, said = small(network(), every=10), []
    for step in (0, 4, 9, 12, 12, 19, torch.tensor(25), 7):
        seen.step(step)  # type: ignore[arg-type]
        said.append(len(seen.history))
    assert said == [1, 1, 1, 2, 2, 2, 3, 4]
    assert steps(seen) == [0, 7, 12, 25]


def test_context_manager(tmp_path: Path) -> None:
    """The end is measured; an exception passes, without another measurement."""
    with small(network()) as seen:
        seen.step()
    assert steps(seen) == [0, 1]
    with pytest.raises(RuntimeError, match="the user's"), small(network()) as broken:
        broken.step()
        raise RuntimeError("the user's")
    assert steps(broken) == [0]


@pytest.mark.parametrize(("conv", "size"), [(nn.Conv1d(1, 2, 3), (1, 1, 9)), (nn.Conv3d(1, 2, 3), (1, 1, 6, 7, 8))], ids=["1-D", "3-D"])
def test_any_number_of_axes(conv: nn.Module, size: tuple[int, ...], tmp_path: Path) -> None:
    axes = len(size) - 2
    seen = ip.Watch(nn.Sequential(conv), "0", size, out=tmp_path, samples=3)
    (row,) = seen.history
    assert len(row.sigma) == len(row.center_offset) == axes
    assert [plain(r) for r in ip.Watch(nn.Sequential(conv), "0", size, out=tmp_path, samples=3).history] == [plain(row)]


def test_one_time_iterators_and_short_data() -> None:
    """Data are read once, when the watch is made."""
    with pytest.warns(UserWarning, match="ended after 3"):
        seen = small(network(), data=(torch.randn(SIZE) for _ in range(3)), samples=8, every=1)
    seen.step()
    assert [row.samples for row in seen.history] == [3, 3]


def test_kept_samples_are_the_watchs_own() -> None:
    data = torch.randn(4, *SIZE[1:])
    seen = small(network(), data=data, every=1)
    data.zero_()
    seen.step()
    first, second = seen.history
    assert plain(first)[2:] == plain(second)[2:]


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "compile"])
def test_wrapped_models_are_measured_inside(wrap: Any) -> None:
    model = network()
    bare, wrapped = small(model), small(wrap(model))
    assert [plain(row) for row in bare.history] == [plain(row) for row in wrapped.history]


# ---- what goes wrong -----------------------------------------------------------------------------------------------------


def test_a_dead_unit_is_a_row_of_nan(tmp_path: Path) -> None:
    """Also when the watch is made: it may come to life. The file and the board take it."""
    model = network()
    weight: Any = model[1].weight
    kept = weight.detach().clone()
    weight.data.zero_()
    with pytest.warns(UserWarning, match=r"Step 0: no effective field.*No gradient but zero"):
        seen = small(model, tmp_path, tensorboard=True, every=1)
    weight.data.copy_(kept)
    seen.step()
    dead, alive = seen.history
    assert all(math.isnan(v) and math.isnan(v.stderr) for _, v in dead.numbers()) and dead.samples == 0 and len(dead.sigma) == 2
    assert all(math.isfinite(v) for v in alive.sigma)
    assert [plain(row) for row in small(model, tmp_path).history] == [plain(dead), plain(alive)]


def test_one_dead_layer_of_two() -> None:
    model = network()
    with torch.no_grad():
        model[1].weight.zero_()  # type: ignore[operator, union-attr]
    with pytest.warns(UserWarning, match="Only zero gradients from 1"):
        seen = small(model, layers=["0.0", "1"])
    alive, dead = seen.history
    assert math.isfinite(alive.sigma[0]) and math.isnan(dead.sigma[0])


class Failing(nn.Module):
    """Fails with any exception when told to."""

    error: Exception | None = None

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.error is not None:
            raise self.error
        out: Tensor = self.conv(x)
        return out


def test_a_failing_measurement_does_not_end_the_run() -> None:
    model = Failing()
    seen = small(model, layers="conv", every=1)
    model.error = torch.OutOfMemoryError("too little memory")
    with pytest.warns(UserWarning, match=r"Step 1: .*too little memory") as said:
        seen.step()
    assert said[0].filename == __file__, "the warning points at the user's line"
    model.error = None
    seen.step()
    assert [math.isnan(row.sigma[0]) for row in seen.history] == [False, True, False]
    model.error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        seen.step()


def test_a_failing_disk_does_not_end_the_run(tmp_path: Path) -> None:
    seen = small(network(), tmp_path / "out", every=1)
    (tmp_path / "out" / "fields.csv").unlink()
    (tmp_path / "out" / "fields.csv").mkdir()
    with pytest.warns(UserWarning, match="measured and not written: IsADirectoryError"):
        seen.step()
    assert steps(seen) == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"layers": "nothing"}, "No layer is called 'nothing'"),
        ({"input_size": None}, "Give input_size"),
        ({"input_size": (4, *SIZE[1:])}, "batch of 4"),
        ({"every": 0}, "every=0 must be a whole number of 1 or more"),
        ({"every": 2.5}, "every=2.5"),
        ({"samples": 1}, "samples=1 must be a whole number of 2 or more"),
        ({"start": -1}, "start=-1"),
        ({"target": "none"}, "target='none' is unknown"),
        ({"unit": (99, 0)}, "99"),
        ({"statistics": "abs"}, "no option 'statistics'.*statistic"),
        ({"data": torch.ones(4, 3, 12, 14)}, "3"),
        ({"data": []}, "empty"),
        ({"data": torch.ones(1, *SIZE[1:])}, "gave 1 samples"),
        ({"transform": abs}, "Without data"),
        ({"tensorboard": True}, "out=, and that is None"),
        ({"tensorboard": "yes"}, "tensorboard='yes' must be True, False, or a SummaryWriter"),
        ({"model": "conv 3"}, "a str is none"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_wrong_arguments_are_errors_at_once(wrong: dict[str, Any], said: str) -> None:
    with warnings.catch_warnings(), pytest.raises(ip.UsageError, match=said):
        warnings.simplefilter("ignore")
        small(**{"model": network()} | wrong)


def test_wrong_steps_are_errors() -> None:
    with pytest.raises(ip.UsageError, match="step=-1"):
        small(network()).step(-1)


# ---- the file ------------------------------------------------------------------------------------------------------------


def test_the_file_is_written_at_once(tmp_path: Path) -> None:
    seen = small(network(), tmp_path / "a" / "b", layers=["0.0", "1"])
    for _ in range(3):
        seen.step()
    with open(tmp_path / "a" / "b" / "fields.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == header(2)
    assert [(line["step"], line["layer"], line["samples"]) for line in lines] == [(s, n, "2") for s in "03" for n in ("0.0", "1")]
    for line, row in zip(lines, seen.history, strict=True):
        assert float(line["sigma_1"]) == row.sigma[1] and float(line["sigma_1_stderr"]) == row.sigma[1].stderr
        assert float(line["side_95"]) == row.side and float(line["ratio"]) == row.ratio
        assert float(line["center_offset_0"]) == row.center_offset[0]


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = small(network(), tmp_path)
    for _ in range(4):
        first.step()
    again = small(network(1), tmp_path)  # stopped at 4, last written at 3
    assert [plain(row) for row in again.history] == [plain(row) for row in first.history]
    for step in (5, 6, 7):
        again.step(step)
    assert steps(again) == [0, 3, 6]
    back = small(network(), tmp_path, start=2)  # of a checkpoint before that: step 3 comes again
    for _ in range(2):
        back.step()
    assert steps(back) == [0, 2, 3, 6]
    last = small(network(), tmp_path)
    assert [plain(row) for row in last.history] == [plain(row) for row in back.history]
    assert (tmp_path / "fields.csv").read_text().count("step,layer") == 1


def test_a_line_cut_off_is_taken_away(tmp_path: Path) -> None:
    small(network(), tmp_path)
    file = tmp_path / "fields.csv"
    whole = file.read_text()
    file.write_text(whole + "3,1,0.7")
    seen = small(network(), tmp_path)
    assert file.read_text() == whole and steps(seen) == [0]
    file.write_text("step,lay")  # killed at the very first write
    assert steps(small(network(), tmp_path)) == [0]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "\n", ",".join(header(1)) + "\n", ",".join(header(2)) + "\n1,2\n", "\xff\xfe\n"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "fields.csv"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(ip.UsageError, match=r"fields.csv is there and is no log .* 2 axes"):
        small(network(), tmp_path)
    assert file.read_text(encoding="latin-1") == content


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ip.UsageError, match=r"Cannot write .*out="):
        small(network(), tmp_path / "file")


def test_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small(network()).close()
    assert not list(tmp_path.iterdir())


# ---- TensorBoard and Matplotlib -------------------------------------------------------------------------------------------


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


@pytest.mark.parametrize("pictures", [True, False])
def test_tensorboard(tmp_path: Path, pictures: bool) -> None:
    seen = small(network(), tmp_path, tensorboard=True, pictures=pictures)
    for _ in range(3):
        seen.step()
    seen.close()
    found = events(tmp_path)
    names = ["sigma_0", "sigma_1", "center_offset_0", "center_offset_1", "ratio", "side_95"]
    assert found.Tags()["scalars"] == [f"effective/1/{name}" for name in names]
    logged = [(e.step, e.value) for e in found.Scalars("effective/1/sigma_1")]
    assert logged == [(row.step, pytest.approx(row.sigma[1], rel=1e-6)) for row in seen.history]
    assert found.Tags()["images"] == (["effective/1/map"] if pictures else [])
    if pictures:
        assert [(e.step, e.width, e.height) for e in found.Images("effective/1/map")] == [(0, 400, 400), (3, 400, 400)]


def test_a_writer_of_the_users_own(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(tmp_path))
    small(network(), tensorboard=writer, pictures=False).close()
    writer.add_scalar("loss", 1.0, 1)  # still open
    writer.close()
    assert len(list(tmp_path.iterdir())) == 1
    assert {"loss", "effective/1/ratio"} <= set(events(tmp_path).Tags()["scalars"])


@pytest.mark.parametrize(
    ("package", "line"), [("tensorboard", r"isopter\[tensorboard\]"), ("matplotlib", r"pictures=False.*isopter\[plot\]")]
)
def test_without_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, line: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ip.MissingExtra, match=line):
        small(network(), tmp_path, tensorboard=True)
    small(network(), tmp_path)


def test_plot() -> None:
    from matplotlib.figure import Figure

    seen = small(network(), layers=["0.0", "1"], every=1)
    seen.step()
    given = Figure().add_subplot()
    ax = seen.plot(given)
    assert ax is given
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"{n}, axis {a}" for n in ("0.0", "1") for a in (0, 1)]  # type: ignore[union-attr]
    line, _, (bars,) = ax.containers[3]  # type: ignore[misc]
    sigma = [row.sigma[1] for row in seen.history if row.layer == "1"]
    assert line.get_xdata().tolist() == [0, 1] and line.get_ydata().tolist() == [float(s) for s in sigma]
    assert [np.ptp(path[:, 1]) / 2 for path in bars.get_segments()] == pytest.approx([s.stderr for s in sigma])


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ip.MissingExtra, match=r"isopter\[plot\]"):
        small(network()).plot()


# ---- trainers ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lightning's Callback: the real one, or a class in its place where it is not installed."""
    for name in lightning.PACKAGES:
        if importlib.util.find_spec(name.partition(".")[0]):
            yield importlib.import_module(name)
            return
    stand_in = types.ModuleType("pytorch_lightning")
    stand_in.Callback = type("Callback", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pytorch_lightning", stand_in)
    yield stand_in


def test_lightning(package: Any) -> None:
    """Gradients of two batches make a step: `global_step` tells."""
    model = network()
    seen = small(model)
    callback = seen.lightning()
    assert isinstance(callback, package.Callback)
    trainer = types.SimpleNamespace(global_step=0)
    callback.on_train_start(trainer, model)
    for batch in range(14):
        trainer.global_step = (batch + 1) // 2
        callback.on_train_batch_end(trainer, model, None, None, batch)
    assert steps(seen) == [0, 3, 6]
    callback.on_train_end(trainer, model)
    assert steps(seen) == [0, 3, 6, 7]
    trainer.global_step = 0
    callback.on_train_start(trainer, model)  # a second fit


def test_lightning_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning", *lightning.PACKAGES):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ip.MissingExtra, match=r"lightning.*isopter\[lightning\]"):
        small(network()).lightning()


def test_huggingface() -> None:
    """Through the events of transformers' own handler, from a checkpoint of step 2 on."""
    pytest.importorskip("transformers")
    from transformers.trainer_callback import CallbackHandler, TrainerCallback, TrainerControl, TrainerState

    model = network()
    seen = small(model, start=2)
    callback = seen.huggingface()
    assert isinstance(callback, TrainerCallback)
    arguments: Any = None
    handler, state, control = CallbackHandler([callback], model, None, None, None), TrainerState(global_step=2), TrainerControl()
    handler.on_train_begin(arguments, state, control)
    for _ in range(5):
        state.global_step += 1
        handler.on_step_end(arguments, state, control)
    assert steps(seen) == [2, 3, 6]
    handler.on_train_end(arguments, state, control)
    assert steps(seen) == [2, 3, 6, 7]


def test_huggingface_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ip.MissingExtra, match=r"isopter\[transformers\]"):
        small(network()).huggingface()


# ---- many processes ------------------------------------------------------------------------------------------------------


def test_only_the_first_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = small(network(), tmp_path, every=1)
    whole = (tmp_path / "fields.csv").read_text()
    monkeypatch.setattr(watch, "rank", lambda: 1)
    seen.step()
    assert steps(seen) == [0, 1] and (tmp_path / "fields.csv").read_text() == whole


def test_processes_that_have_not_met_are_not_introduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun started us; the group is the training's to make."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    seen = small(network())
    seen.close()
    assert seen.history == [] and ranks.pending() and not torch.distributed.is_initialized()


SCRIPT = """
import sys, torch, torch.distributed as dist, isopter as ip
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3))
late, watched = sys.argv[1] == "late", sys.argv[2] == "watched"
options = dict(layers="3", input_size=(1, 2, 10, 10), every=2, samples=5, out="out")
if watched and late:
    seen = ip.Watch(net, **options)
    assert seen.history == []
dist.init_process_group("gloo")
model = nn.parallel.DistributedDataParallel(net)
if watched and not late:
    seen = ip.Watch(model, **options)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(dist.get_rank())
for step in range(3):
    optimizer.zero_grad()
    model(torch.randn(4, 2, 10, 10)).square().mean().backward()
    optimizer.step()
    if watched:
        seen.step()
if watched:
    seen.close()
    assert [row.step for row in seen.history] == ([1, 2, 3] if late else [0, 2, 3])
    again = ip.Watch(model, **options)
    assert [repr(row) for row in again.history] == [repr(row) for row in seen.history]
torch.save((net.state_dict(), torch.get_rng_state()), f"{sys.argv[2]}.{dist.get_rank()}.pt")
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["early", "late"])
def test_distributed_training(tmp_path: Path, when: str) -> None:
    """Two processes of torchrun: one file, each row once, and weights as without a watch."""
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    for what in ("alone", "watched"):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py", when, what]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    for number in range(2):
        (alone, drawn), (watched, then) = (torch.load(tmp_path / f"{what}.{number}.pt") for what in ("alone", "watched"))
        assert all(torch.equal(alone[key], watched[key]) for key in alone) and torch.equal(drawn, then)
    lines = (tmp_path / "out" / "fields.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["step", *("123" if when == "late" else "023")]
    assert all(line.endswith(",5") for line in lines[1:])


def test_row_of_a_failure_has_every_number() -> None:
    row = Row.failed(3, "a", 2)
    assert all(isinstance(value, Estimate) and math.isnan(value) for _, value in row.numbers())
