"""Object sizes from annotations, good and hostile, against fields."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from examples import models
from torch import nn

import isopter as ip
from isopter.design.objects import Objects, from_coco
from isopter.errors import LayerNotFound, UsageError


def coco(tmp_path: Path, *boxes: object, **more: object) -> Path:
    """A file with these boxes, or entries."""
    entries = [b if isinstance(b, dict) else {"id": k, "image_id": 1, "category_id": 1 + k % 2, "bbox": b} for k, b in enumerate(boxes)]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"annotations": entries, **more}), encoding="utf-8")
    return path


def square(*sides: float) -> Objects:
    return Objects(np.array([(s, s) for s in sides]))


# ---- reading -----------------------------------------------------------------------------------------------------------------


def test_boxes_are_x_y_width_height(tmp_path: Path) -> None:
    images = [{"id": 1, "height": 480, "width": 640}]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    o = ip.objects.from_coco(coco(tmp_path, [5, 6, 40, 10], [0, 0, 1.5, 6], images=images, categories=categories))
    assert o.sizes.tolist() == [[10, 40], [6, 1.5]] and o.root_areas == pytest.approx([20, 3])
    assert o.images.tolist() == [[480, 640]] * 2 and o.categories == ("cat", "dog")
    assert o.of("dog").sizes.tolist() == [[6, 1.5]]
    assert o.scaled(0.5).sizes.tolist() == [[5, 20], [3, 0.75]] and o.scaled((2, 1)).sizes.tolist() == [[20, 40], [12, 1.5]]
    assert o.resized((240, 640)).sizes.tolist() == [[5, 40], [3, 1.5]] and o.resized((240, 640)).images.tolist() == [[240, 640]] * 2
    with pytest.raises(ValueError, match="read-only"):
        o.sizes[0] = 1


def test_crowds_and_empty_boxes_are_counted(tmp_path: Path) -> None:
    crowd = {"id": 9, "bbox": [0, 0, 500, 500], "iscrowd": 1, "segmentation": {"counts": [1], "size": [1, 1]}}
    o = from_coco(coco(tmp_path, [0, 0, 4, 4], crowd, [1, 1, 0, 7]))
    assert (len(o), o.crowds, o.empty) == (1, 1, 1) and o.categories == ("",) and math.isnan(o.images[0, 0])
    assert o.to_dict()["crowds"] == 1 and json.dumps(o.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[]", "COCO-style"),
        ("null", "COCO-style"),
        ("{}", "COCO-style"),
        ('{"annotations": {}}', "COCO-style"),
        ('{"annotations": []}', "no object"),
        ('{"annotations": [1]}', "list of objects"),
        ('{"annotations": [{"id": 3}]}', "annotation 0 .id 3. has the bbox None"),
        ('{"annotations": [{"bbox": [1, 2, 3]}]}', r"expected \[x, y, width, height\]"),
        ('{"annotations": [{"bbox": "abcd"}]}', "expected"),
        ('{"annotations": [{"bbox": [0, 0, 5, "5"]}]}', "finite numbers"),
        ('{"annotations": [{"bbox": [0, 0, true, 5]}]}', "finite numbers"),
        ('{"annotations": [{"bbox": [0, 0, NaN, 5]}]}', "finite numbers"),
        ('{"annotations": [{"bbox": [0, 0, Infinity, 5]}]}', "finite numbers"),
        ('{"annotations": [{"bbox": [NaN, 0, 5, 5]}]}', "finite numbers"),
        ('{"annotations": [{"bbox": [0, 0, 1e400, 5]}]}', "finite numbers"),
        ('{"annotations": [{"bbox": [0, 0, ' + "9" * 400 + ", 5]}]}", "finite numbers"),
        ('{"annotations": [{"bbox": [0, 0, 1e12, 5]}]}', "larger than any image"),
        ('{"annotations": [{"bbox": [9, 9, -4, 5]}]}', "negative size"),
        ('{"annotations": [{"bbox": [9, 9, 0, 0]}, {"iscrowd": 1}]}', "1 crowds, 1 boxes without area"),
        ('{"annotations": [{"bbox": [0, 0, 1, 1]}], "images": [{"id": 1, "height": -4, "width": 3}]}', "height -4"),
        ('{"annotations": [{"bbox": [0, 0, 1, 1]}], "images": [{"id": 1, "height": "x", "width": 3}]}', "height 'x'"),
        ('{"annotations": [{"bbox": [0, 0, 1, 1]}], "images": 7}', '"images" must be a list'),
        ('{"annotations": [{"bbox": [0, 0, 1, 1]}], "categories": [[]]}', '"categories" must be a list'),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"annotations": [{"bbox": [0, 0, ' + "9" * 5000 + ", 5]}]}", "cannot be read as JSON"),
    ],
    ids=lambda v: v[:50],
)
def test_hostile_files(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "hostile.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=match) as error:
        from_coco(path)
    assert "hostile.json" in str(error.value) and len(str(error.value)) < 600


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        from_coco(tmp_path / "missing.json")
    with pytest.raises(UsageError, match="cannot be read"):
        from_coco(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        from_coco(tmp_path / "binary.json")


def test_too_large_a_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(5 * 2**30)  # sparse: takes no room
    with pytest.raises(UsageError, match=r"5\.0 GiB"):
        from_coco(path)


def test_odd_ids_break_nothing(tmp_path: Path) -> None:
    boxes = [{"bbox": [0, 0, 2, 3], "image_id": [1], "category_id": {"a": 1}, "id": None}, {"bbox": [0, 0, 2, 3]}]
    o = from_coco(coco(tmp_path, *boxes, images=[{"id": [1], "height": 5, "width": 6}, {"height": 7}], categories=[{"id": "</script>"}]))
    assert len(o) == 2 and o.images[0].tolist() == [5, 6]


def test_ids_are_numbers_however_they_are_written(tmp_path: Path) -> None:
    """Tools that pass through floats write 1.0 for 1."""
    box = {"bbox": [0, 0, 2, 3], "image_id": 1.0, "category_id": 7}
    o = from_coco(coco(tmp_path, box, images=[{"id": 1, "height": 5, "width": 6}], categories=[{"id": 7.0, "name": "cat"}]))
    assert o.images.tolist() == [[5, 6]] and o.categories == ("cat",)


@pytest.mark.parametrize(
    "sizes", [np.zeros((2, 3)), np.array([1.0, 2]), [[1, math.nan]], [[1, 0]], [[-1, 1]], [[math.inf, 1]], [[1, 1.1e9]]]
)
def test_sizes_are_checked(sizes: object) -> None:
    with pytest.raises(UsageError, match="sizes"):
        Objects(sizes)  # type: ignore[arg-type]


def test_wrong_questions() -> None:
    o = square(4)
    for factor in (0, -1, math.nan, (1, 2, 3), "x"):
        with pytest.raises(ValueError, match=r"factor|could not convert"):
            o.scaled(factor)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at most 1,000,000,000"):
        o.scaled(1e12)
    with pytest.raises(UsageError, match="not known"):
        o.resized((4, 4))
    with pytest.raises(UsageError, match="no objects of the category 'cat'"):
        o.of("cat")


# ---- histogram ---------------------------------------------------------------------------------------------------------------


def test_bins_are_equal_in_log2() -> None:
    edges, counts = square(8, 8, 16, 15.999, 9).histogram()
    assert counts.sum() == 5 and counts[0] == 3 and counts[-1] == 1  # 8, 8, 9 | 15.999 | 16
    assert len(edges) == len(counts) + 1 and edges[0] == 8 and edges[-2] == 16
    assert np.diff(np.log2(edges)) == pytest.approx(0.25)


@pytest.mark.parametrize("power", range(-3, 20))
def test_a_power_of_two_begins_its_bin(power: int) -> None:
    edges, counts = square(2.0**power).histogram()
    assert edges[0] == pytest.approx(2.0**power) and counts.tolist() == [1]


def test_no_objects() -> None:
    none = Objects(np.zeros((0, 2)))
    assert repr(none) == "Objects(none)" and [len(x) for x in none.histogram()] == [0, 0]
    with pytest.raises(UsageError, match="no objects"):
        ip.analyze("conv 3", (1, 1, 8, 8)).coverage(none)


# ---- coverage ----------------------------------------------------------------------------------------------------------------


def test_both_sides_must_fit() -> None:
    a = ip.analyze("conv 3x9, conv 3x1", (1, 1, 32, 32))
    o = Objects(np.array([(3, 9), (5, 9), (9, 3), (4, 4), (6, 1)], float))
    c = a.coverage(o)
    assert [own.layer for own in c.layers] == ["conv1", "conv2"]
    assert c["conv1"].theoretical == 1 / 5 and c["conv2"].theoretical == 3 / 5 and c["conv2"].size == (5, 9)
    assert c["conv2"].how == "expected" and c["conv1"].how == "" and c["conv1"].effective is None
    assert c["conv2"].side == a["conv2"].expected().side(0.95)


def test_effective_fields_cover_less() -> None:
    a = ip.analyze("[conv 3 p1]*40", (1, 4, 128, 128))
    o = square(*range(1, 101))
    c = a.coverage(o, ["conv40", "conv1*"])
    assert c["conv40"].theoretical == 0.81 and c["conv40"].effective == math.floor(c["conv40"].side) / 100 < 0.5
    assert {own.layer for own in c.layers} == {"conv40", "conv1", *(f"conv1{k}" for k in range(10))}
    assert all(own.how == "expected" for own in c.layers)


def test_a_given_field_takes_the_place_of_the_expected_one() -> None:
    """And is called what it is: measured on samples, or expected."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2))
    a = ip.analyze(model, (1, 1, 32, 32))
    measured = ip.effective(model, ["2"], (1, 1, 32, 32), samples=4, progress=False)["2"]
    given = {"2": measured, "0": a["0"].expected((3, 4))}
    c = a.coverage(square(2, 4, 8), effective=given)
    assert {own.layer: own.how for own in c.layers} == {"0": "expected", "2": "measured", "3": "expected"}
    assert c["2"].side == measured.side(0.95) and "px (measured)" in repr(c)


def test_a_head_that_sees_all_covers_all() -> None:
    c = ip.analyze("conv 3, gap, linear 4", (1, 1, 32, 32)).coverage(square(2, 1e6), ["linear1", "conv1"])
    assert c["linear1"].theoretical == 1 and c["linear1"].side is None and c["conv1"].theoretical == 0.5
    assert c.to_dict()["layers"][0]["size"] == ["inf", "inf"] and json.dumps(c.to_dict(), allow_nan=False)
    assert "unbounded" in repr(c) and "50.0%" in repr(c)


def test_pyramid_levels() -> None:
    """Deeper layers of ResNet-18 cover ever more."""
    a = ip.analyze(models.resnet18(), (1, 3, 224, 224))
    c = a.coverage(square(*2.0 ** np.arange(0, 9, 0.25)), ["layer1", "layer2", "layer3", "layer4"])
    shares = [own.theoretical for own in c.layers]
    assert shares == sorted(shares) and shares[-1] == 1 and [own.size[0] for own in c.layers] == [43, 99, 211, 435]
    assert all(own.effective <= own.theoretical for own in c.layers)


def test_wrong_models_and_layers() -> None:
    with pytest.raises(UsageError, match="1 space axes"):
        ip.analyze("conv 3", (1, 1, 32)).coverage(square(2))
    a = ip.analyze("conv 3", (1, 1, 8, 8))
    with pytest.raises(LayerNotFound, match="conv1"):
        a.coverage(square(2), ["conv9"])
    with pytest.raises(LayerNotFound, match="conv1"):
        a.coverage(square(2), effective={"conv9": a["conv1"].expected()})
    with pytest.raises(LayerNotFound, match="conv1"):
        a.coverage(square(2))["conv7"]
    with pytest.raises(UsageError, match="from_coco"):
        a.coverage(np.ones((2, 2)))  # type: ignore[arg-type]
