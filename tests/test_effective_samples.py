"""Samples from data in any form: the same in every process and order, checked, and nothing dropped without a word."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from isopter import CaptureError, MissingExtra, UsageError
from isopter.erf.data.images import MEAN, STD
from isopter.erf.data.photos import pillow
from isopter.erf.data.samples import samples

SHAPE = (1, 3, 6, 5)


def take(data: Any, shape: tuple[int, ...] = SHAPE, count: int | None = None, seed: int = 0, **options: Any) -> dict[int, Tensor]:
    """All samples by number."""
    found = samples(data, shape, seed=seed, count=count, **options)
    given = dict(found.take(range(10_000)))
    assert all(t.shape == shape and t.dtype == torch.float32 and not t.requires_grad for t in given.values())
    assert found.length in (None, len(given))
    return given


def batch(n: int = 7, *size: int) -> Tensor:
    return torch.randn(n, *(size or SHAPE[1:]), generator=torch.Generator().manual_seed(n))


def equal(given: dict[int, Tensor], rows: Tensor) -> bool:
    return list(given) == list(range(len(rows))) and all(torch.equal(t[0], rows[i].float()) for i, t in given.items())


# ---- every form --------------------------------------------------------------------------------------------------------


class Mapped(Dataset[Any]):
    """A dataset in map style whose items are made by a function."""

    def __init__(self, rows: Tensor, item: Any = lambda row: row) -> None:
        self.rows, self.item = rows, item

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.item(self.rows[index])


class Flowing(IterableDataset[Any]):
    """A dataset that can only be iterated."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.rows)


ROWS = batch()
FORMS: dict[str, Any] = {
    "tensor": ROWS,
    "float64 array": ROWS.double().numpy(),
    "read-only array": np.broadcast_to(ROWS.numpy(), ROWS.shape),
    "tensor with gradient": ROWS.clone().requires_grad_(),
    "list of samples": list(ROWS),
    "list of batches of one": [row[None] for row in ROWS],
    "tuple of batches and samples": (ROWS[:3].numpy(), ROWS[3], ROWS[4:]),
    "list of pairs": [(row, 1) for row in ROWS],
    "dict": {"pixel_values": ROWS},
    "TensorDataset": TensorDataset(ROWS, torch.arange(7)),
    "dataset of dicts": Mapped(ROWS, lambda row: {"label": torch.tensor(1), "image": row.numpy()}),
    "dataset of nested tuples": Mapped(ROWS, lambda row: ("name", (row, 3))),
    "iterable dataset": Flowing(ROWS),
    "loader of batches": DataLoader(TensorDataset(ROWS, torch.arange(7)), batch_size=3),
    "loader without batches": DataLoader(Mapped(ROWS), batch_size=None),
    "loader of an iterable dataset": DataLoader(Flowing(ROWS), batch_size=2),
    "iterator": iter(ROWS),
    "generator of batches": (ROWS[i : i + 2] for i in range(0, 7, 2)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data(form: str) -> None:
    assert equal(take(FORMS[form]), ROWS)


@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 1, 4, 5, 6), (1, 8)])
def test_any_number_of_axes(shape: tuple[int, ...]) -> None:
    rows = torch.randn(3, *shape[1:])
    assert equal(take(rows, shape), rows) and equal(take(rows[0], shape), rows[:1])
    assert take(None, shape, count=2)[1].shape == shape


def test_larger_data_are_cut_at_the_centre() -> None:
    rows = batch(2, 3, 9, 8)
    for data in (rows, list(rows), Mapped(rows), iter(rows)):
        assert equal(take(data), rows[:, :, 1:7, 1:6])  # (9 - 6) // 2, (8 - 5) // 2


def test_samples_are_copies() -> None:
    rows = batch()
    take(rows)[0].zero_()
    take(rows.numpy())[0].zero_()
    assert equal(take(rows), ROWS)


# ---- the same for everyone ---------------------------------------------------------------------------------------------


class Draws(Dataset[Any]):
    """Items drawn from all three global generators."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Tensor:
        return torch.rand(SHAPE[1:]) + float(np.random.rand()) + random.random()


@pytest.mark.parametrize("make", [
    lambda: None, lambda: batch(20), lambda: list(batch(20)), Draws, lambda: DataLoader(batch(20), shuffle=True, batch_size=3),
    lambda: DataLoader(Draws(), batch_size=2), lambda: iter(batch(20)),
])  # fmt: skip
def test_sample_i_depends_on_i_alone(make: Any) -> None:
    """Not on the process, on what else was asked, nor on the state of the global generators."""
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    whole = dict(samples(make(), SHAPE, seed=3, count=6).take(range(6)))
    torch.manual_seed(99), random.seed(99), np.random.seed(99)
    ranks = [dict(samples(make(), SHAPE, seed=3, count=6).take(range(rank, 6, 2))) for rank in range(2)]
    assert sorted([*ranks[0], *ranks[1]]) == list(range(6)) == sorted(whole)
    assert all(torch.equal(whole[i], t) for rank in ranks for i, t in rank.items())
    parts = samples(make(), SHAPE, seed=3, count=6)
    later = {**dict(parts.take([1])), **dict(parts.take(range(2, 5)))}
    assert sorted(later) == [1, 2, 3, 4] and all(torch.equal(whole[i], t) for i, t in later.items())


@pytest.mark.parametrize("data", [None, batch(40), Draws(), DataLoader(batch(40), shuffle=True)])
def test_the_seed_decides_and_global_generators_are_left_alone(data: Any) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[2]
    one, same, other = (torch.cat(list(take(data, count=6, seed=seed).values())) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(before[0], torch.get_rng_state()) and before[1:] == (random.getstate(), np.random.get_state()[2])


def test_noise_is_standard_normal_and_independent() -> None:
    rows = torch.cat(list(take(None, (1, 1, 64, 64), count=32).values())).flatten(1)
    assert abs(float(rows.mean())) < 0.02 and abs(float(rows.std()) - 1) < 0.02
    assert float((torch.corrcoef(rows) - torch.eye(32)).abs().max()) < 0.08  # 5 times 1 / sqrt(4096)
    again = torch.cat(list(take(None, (1, 1, 64, 64), count=32, seed=1).values())).flatten(1)
    assert abs(float((rows * again).mean())) < 0.02


def test_a_choice_is_random_and_without_replacement() -> None:
    """Of sorted data the first ones would be one class."""
    rows = torch.arange(1000.0)[:, None].expand(1000, 3)
    chosen = [float(t[0, 0]) for t in take(rows, (1, 3), count=200).values()]
    assert len(set(chosen)) == 200 and abs(np.mean(chosen) - 499.5) < 75  # 4 standard errors


def test_iterables_are_read_no_further_than_needed() -> None:
    read = []

    def flow() -> Iterator[Tensor]:
        for row in ROWS:
            read.append(1)
            yield row

    assert list(dict(samples(flow(), SHAPE, seed=0, count=3).take(range(3)))) == [0, 1, 2] and len(read) == 3


def test_what_can_be_read_again_is_read_again_and_a_generator_says_it_is_gone() -> None:
    again = samples(DataLoader(ROWS), SHAPE, seed=0, count=None)
    assert list(dict(again.take(range(7)))) == list(dict(again.take(range(7)))) == list(range(7))
    once = samples(iter(ROWS), SHAPE, seed=0, count=None)
    assert [i for i, _ in once.take([3])] == [3] and list(once.take([])) == []
    with pytest.raises(UsageError, match="can be read once, and sample 2 has gone by"):
        next(once.take([2]))


# ---- said, not guessed -------------------------------------------------------------------------------------------------


def spoiled(value: float) -> Tensor:
    rows = batch()
    rows[4, 1, 2, 2] = value
    return rows


WRONG: dict[str, tuple[Any, str]] = {
    "too few channels": (batch(2, 1, 6, 5), r"data\[0\] has shape \(1, 6, 5\). Expected \(3, 6, 5\): 3 channels.*input_size"),
    "too small": (batch(2, 3, 6, 4), "in space at least 6 x 5, of which the centre"),
    "channels last": (batch(2, 6, 5, 3), r"np.moveaxis\(x, -1, -3\)"),
    "one axis too few": (torch.rand(6, 5), r"data has shape \(6, 5\). Expected one sample \(3, 6, 5\), or many of them \(N, 3, 6, 5\)"),
    "labels beside images": ((batch(), torch.rand(7)), r"data\[1\] has shape \(7,\)"),
    "nan": (spoiled(float("nan")), r"data\[4\] holds NaN or infinity"),
    "infinity in a stream": (iter(spoiled(float("inf"))), "Sample 4 of data holds NaN or infinity"),
    "infinity once in float32": (spoiled(1).double().numpy() * 1e200, "holds NaN or infinity"),
    "pixels": (torch.zeros(2, 3, 6, 5, dtype=torch.uint8), r"dtype torch.uint8. Expected floating point.*255"),
    "whole numbers": (np.zeros((2, 3, 6, 5), int), "dtype int64"),
    "complex": (np.zeros((2, 3, 6, 5), complex), "dtype complex128"),
    "meta": (torch.empty(2, 3, 6, 5, device="meta"), "no values"),
    "nothing": (torch.empty(0, 3, 6, 5), "data is empty"),
    "empty list": ([], "data is empty"),
    "empty stream": (iter([]), "data is empty, or was read before"),
    "a number": (3, "data is a int. Expected a tensor"),
    "bytes": (b"abc", "data is a bytes"),
    "labels only": ([1, 2], r"data\[0\] is a int without a tensor"),
    "a dataset of batches": (Mapped(ROWS, lambda row: torch.stack([row, row])), r"data\[0\] holds 2 samples"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data_are_refused(name: str) -> None:
    data, message = WRONG[name]
    with pytest.raises(UsageError, match=message):
        take(data)


@pytest.mark.parametrize(("options", "message"), [
    ({"count": 0}, "samples=0"), ({"count": True}, "samples=True"), ({"count": 2.0}, "samples=2.0"), ({"seed": -1}, "seed=-1"),
    ({"seed": 0.5}, "seed=0.5"), ({}, "needs a number, such as samples=64"), ({"count": 1, "transform": str}, "takes no transform"),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        take(None, **options)


def test_errors_of_user_code_name_the_item() -> None:
    def broken(row: Tensor) -> Tensor:
        raise KeyError("gone")

    with pytest.raises(CaptureError, match=r"KeyError: 'gone' .*test_effective_samples.py, line \d+\), while reading data\[0\]"):
        take(Mapped(ROWS, broken))
    with pytest.raises(CaptureError, match="while reading item 0 of data"):
        take(map(broken, ROWS))


def test_fewer_samples_than_asked_for() -> None:
    with pytest.warns(UserWarning, match="data holds 7 samples, and 9 were asked for"):
        assert equal(take(ROWS, count=9), ROWS)
    with pytest.warns(UserWarning, match="data ended after 7 samples, and 9 were asked for"):
        assert equal(take(iter(ROWS), count=9), ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        take(ROWS, count=7), take(ROWS), take(iter(ROWS))


def test_a_loader_that_shares_out_is_refused() -> None:
    loader = DataLoader(ROWS, sampler=DistributedSampler(ROWS, num_replicas=2, rank=0))
    with pytest.raises(UsageError, match="Leave its DistributedSampler out"):
        take(loader)


def test_transform_is_for_images() -> None:
    with pytest.raises(UsageError, match="transform is for images"):
        take(ROWS, transform=lambda image: image)


# ---- image files -------------------------------------------------------------------------------------------------------


def picture(path: Path, size: tuple[int, int] = (5, 6), colour: Any = (200, 100, 50), mode: str = "RGB", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def standard(colour: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    return (np.array(colour) / 255 - MEAN) / STD


def test_a_folder_of_images(tmp_path: Path) -> None:
    """All formats, in subfolders, in order; hidden and other files passed over; links followed, each once."""
    for k, suffix in enumerate(("png", "BMP", "tif", "tiff", "gif")):
        picture(tmp_path / f"{k // 2}" / f"{k}.{suffix}", colour=(10 * k, 0, 0))
    picture(tmp_path / "3" / "5.jpg", colour=(50, 0, 0), quality=100)
    picture(tmp_path / "3" / "6.webp", colour=(60, 0, 0), lossless=True)
    picture(tmp_path / ".hidden" / "a.png"), picture(tmp_path / "._0.png")
    (tmp_path / "notes.txt").write_text("not an image")
    os.symlink(tmp_path, tmp_path / "circle")
    for data in (tmp_path, str(tmp_path), [tmp_path / "0", *sorted(tmp_path.glob("[123]/*"))]):
        given = take(data)
        red = [round(float(t[0, 0, 0, 0]) * float(STD[0]) * 255 + float(MEAN[0]) * 255) for t in given.values()]
        assert red[:5] == [0, 10, 20, 30, 40] and abs(red[5] - 50) <= 2 and red[6:] == [60]
    assert len(take(tmp_path / "0" / "0.png")) == 1


def test_pixels_of_an_image(tmp_path: Path) -> None:
    """Standardised per channel; it covers the size and is cut at the centre: of a broad image the sides go."""
    t = take(picture(tmp_path / "a.png", (50, 60)))[0]
    assert np.allclose(t[0].mean((1, 2)), standard((200, 100, 50)), atol=1e-5)
    broad = Image.new("RGB", (60, 20), (0, 0, 0))
    broad.paste((255, 255, 255), (20, 0, 40, 20))
    assert np.allclose(take([broad], (1, 3, 10, 10))[0][0, :, :, 1:-1].mean((1, 2)), standard((255, 255, 255)), atol=1e-4)
    assert np.allclose(
        take(broad, (1, 3, 10, 30))[0][0, :, 5, [0, 14, -1]], np.stack([standard((c, c, c)) for c in (0, 255, 0)], 1), atol=1e-4
    )


@pytest.mark.parametrize(("mode", "colour", "grey"), [
    ("L", 51, 0.2), ("1", 1, 1.0), ("RGB", (51, 51, 51), 0.2), ("I;16", 257 * 51, 0.2), ("I;16", 65535, 1.0),
    ("RGBA", (51, 51, 51, 9), 0.2), ("P", 0, 0.0),
])  # fmt: skip
def test_colours(tmp_path: Path, mode: str, colour: Any, grey: float) -> None:
    """Grey inputs are scaled only; 16 bits are scaled too, which Pillow's own conversion cuts off."""
    path = picture(tmp_path / "a.png", (8, 8), colour, mode)
    assert np.allclose(take(path, (1, 1, 6, 5))[0], grey, atol=1e-6)
    level = round(grey * 255)
    assert np.allclose(take(path)[0][0, :, 0, 0], standard((level, level, level)), atol=1e-5)


def test_orientation_is_honoured(tmp_path: Path) -> None:
    image = Image.new("L", (20, 10), 0)
    image.paste(255, (0, 0, 10, 10))  # white at the left, which a quarter turn brings to the top
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    t = take(tmp_path / "a.png", (1, 1, 20, 10))[0]
    assert float(t[0, 0, :9].min()) == 1 and float(t[0, 0, 11:].max()) == 0


def test_transform_replaces_all(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", (9, 8))
    seen: list[Image.Image] = []

    def transform(image: Image.Image) -> Tensor:
        seen.append(image)
        return torch.rand(5, 8, 9)

    assert torch.equal(take(path, (1, 5, 6, 5), transform=transform)[0], take(path, (1, 5, 6, 5), transform=transform)[0])
    assert seen[0].size == (9, 8)
    flows = [dict(samples(iter([seen[0]] * 4), (1, 5, 6, 5), seed=0, count=4, transform=transform).take([3, i])) for i in (1, 2)]
    assert torch.equal(flows[0][3], flows[1][3]) and not torch.equal(flows[0][3], flows[0][1])
    with pytest.raises(UsageError, match=r"transform made a Image of .*a.png. Expected a tensor"):
        take(path, transform=lambda image: image)
    with pytest.raises(UsageError, match=r"a.png has shape \(1, 6, 5\)"):
        take(path, transform=lambda image: torch.zeros(1, 6, 5))
    with pytest.raises(CaptureError, match=r"ZeroDivisionError.*while applying transform to .*a.png"):
        take(path, transform=lambda image: 1 / 0)
    for shape in ((1, 5, 6, 5), (1, 3, 9), (1, 3, 4, 4, 4)):
        with pytest.raises(UsageError, match="Give a transform"):
            take(path, shape)


def bad_files(folder: Path) -> list[Path]:
    """Files that are called images; one is, of a format that is not asked for."""
    folder.mkdir()
    whole = picture(folder / "whole.png", (300, 300)).read_bytes()
    contents = {
        "empty.png": b"", "text.jpg": b"no image", "cut.png": whole[: len(whole) // 2], "head.png": whole[:20], "zeros.tif": bytes(5000),
        "other.png": b"P6 8 8 255 " + bytes(192),
        "bomb.bmp": b"BM" + (54).to_bytes(12, "little") + (40).to_bytes(4, "little") + (12_000).to_bytes(4, "little") * 2
        + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24),
    }  # fmt: skip
    (folder / "whole.png").unlink()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.png")
    return [*(folder / name for name in contents), folder / "pipe.png"]


def test_unreadable_images_are_skipped_and_named(tmp_path: Path) -> None:
    bad = bad_files(tmp_path / "bad")
    good = [picture(tmp_path / f"{k}.png", colour=(k, 0, 0)) for k in range(3)]
    with pytest.warns(UserWarning, match=r"Not read, and left out: .*bomb.bmp \(DecompressionBombWarning"):
        samples_of = samples([bad[6], *good], SHAPE, seed=0, count=None)
        assert [i for i, _ in samples_of.take(range(4))] == [1, 2, 3]
    for path in bad:
        with pytest.warns(UserWarning, match=path.name), pytest.raises(UsageError, match=f"No image can be read, of 1.*{path.name}"):
            take(path)
    with (
        pytest.warns(UserWarning, match="Not read, and left out: .* and 5 more"),
        pytest.raises(UsageError, match="No image can be read, of 8"),
    ):
        take(tmp_path / "bad")


def test_damaged_images_of_a_dataset_are_skipped(tmp_path: Path) -> None:
    """Pillow decodes when pixels are needed, so the damage shows late."""
    path = picture(tmp_path / "a.png", (300, 300))
    path.write_bytes(path.read_bytes()[:200])
    good, floats = Image.new("RGB", (5, 6)), Image.new("F", (5, 6))
    for make in (list, iter):
        found = samples(make([Image.open(path), floats, good]), SHAPE, seed=0, count=None)
        with pytest.warns(UserWarning, match="Not read, and left out: ") as warned:
            assert [i for i, _ in found.take(range(3))] == [2]
        assert all(any(f"Sample {i} of data" in str(w.message) for w in warned) for i in (0, 1))


def test_spare_images_stand_in(tmp_path: Path) -> None:
    """A count is reached as long as readable images are left, each is used once, and processes agree on which."""
    bad_files(tmp_path / "bad")
    for k in range(8):
        picture(tmp_path / f"{k}.png", colour=(k, 0, 0))
    for seed in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = dict(samples(tmp_path, SHAPE, seed=seed, count=4).take(range(4)))
            ranks = [dict(samples(tmp_path, SHAPE, seed=seed, count=4).take(range(r, 4, 2))) for r in range(2)]
        assert {i: t.tolist() for i, t in whole.items()} == {i: t.tolist() for rank in ranks for i, t in rank.items()}
        assert len({float(t[0, 0, 0, 0]) for t in whole.values()}) == len(whole) >= 3


def test_a_process_without_a_readable_image_is_no_error_if_others_have_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    picture(tmp_path / "b.png")
    with pytest.warns(UserWarning, match="Not read, and left out: .*a.png"):
        assert list(samples(tmp_path, SHAPE, seed=0, count=None).take([0])) == []


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no image in .*, nor in its subfolders"):
        take(tmp_path)
    with pytest.raises(UsageError, match=r"There is no .*gone. Expected a folder of images"):
        take(tmp_path / "gone")
    (tmp_path / "a.npy").touch()
    with pytest.raises(UsageError, match="no image that isopter reads"):
        take(tmp_path / "a.npy")


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    pillow.cache_clear()
    with pytest.raises(MissingExtra, match=r'pip install "isopter\[images\]"'):
        take(tmp_path)
