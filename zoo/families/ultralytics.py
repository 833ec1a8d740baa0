"""ultralytics: every detection, segmentation, pose and classification network it ships a layout of, at the smallest scale."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import ultralytics
from ultralytics.nn import tasks

from zoo.entry import Built, Entry

LAYOUTS = Path(ultralytics.__file__).parent / "cfg" / "models"
DOWNLOADS = {"yolo11-cls-resnet18"}
"""Layouts that ask for trained weights."""

ATTENTION = ("rtdetr", "yolo11", "yolo12", "yolo26", "yoloe", "yolov10", "world", "v8-rtdetr")


def entries() -> Iterator[Entry]:
    """One network per layout."""
    for path in sorted(LAYOUTS.rglob("*.yaml")):
        if path.stem in DOWNLOADS:
            continue
        yield Entry(
            "ultralytics",
            path.parent.name,
            path.stem,
            lambda path=path: build(path),
            not any(word in path.stem for word in ATTENTION),
            path.stem == "yolov8",
        )


def build(path: Path) -> Built:
    """The network of a layout, without weights."""
    name = path.stem
    kinds = {
        "-cls": "ClassificationModel",
        "-seg": "SegmentationModel",
        "-pose": "PoseModel",
        "-obb": "OBBModel",
        "rtdetr": "RTDETRDetectionModel",
    }
    kinds |= {"world": "WorldModel"}
    kind = next((model for word, model in kinds.items() if word in name), "DetectionModel")
    if name.startswith("yoloe"):
        kind = "YOLOESegModel" if "seg" in name else "YOLOEModel"
    with contextlib.redirect_stdout(io.StringIO()):
        model = getattr(tasks, kind)(str(path), verbose=False)
    return model, (1, 3, 224, 224) if kind == "ClassificationModel" else (1, 3, 640, 640)
