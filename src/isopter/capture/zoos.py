"""Models by name: ``torchvision:resnet50``, ``timm:convnext_tiny``, ``keras:ResNet50``.

Random weights, and no download, unless trained ones are asked for.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from isopter.capture.dispatch import framework
from isopter.capture.guard import user_code
from isopter.errors import MissingExtra, UsageError

Size = tuple[int, ...]

DEFAULT_SIZE: Size = (1, 3, 224, 224)
"""What most image models are made for, and given where nothing is known of a module."""

FRAMES = 16
"""Of a clip, where a video model does not ask for more."""


def zoo_of(spec: str) -> str | None:
    """``timm`` for ``timm:NAME``; None for what names no zoo, ``torchvision.models:resnet18`` among it."""
    zoo, colon, _ = spec.partition(":")
    return zoo if colon and zoo in ZOOS else None


def named_model(spec: str, pretrained: bool) -> Any:
    """Build ``ZOO:NAME``. Raises UsageError with the nearest names, MissingExtra without the package, CaptureError if it fails.

    A detector of torchvision is built up to its boxes (see `isopter.capture.torch.dense`).
    """
    zoo, _, name = spec.partition(":")
    return ZOOS[zoo](_package(zoo), name.strip(), pretrained)


def input_of(spec: str, model: Any, size: Size | None) -> dict[str, Any]:
    """`input_size` or `inputs` for `analyze`: of this size, or of that for which the model is made.

    A text, a program and a model of Keras have a size of their own (None). Models of two images (optical flow) get both of one size.
    """
    if isinstance(model, str | Path) or framework(model) not in ("torch", None):
        return {"input_size": size}
    zoo, _, name = spec.partition(":")
    size = size or (_torchvision_size(name.strip(), model) if zoo == "torchvision" else None) or _timm_size(model) or DEFAULT_SIZE
    if type(model).__name__ == "RAFT":
        import torch

        return {"inputs": {key: torch.empty(size, device="meta") for key in ("image1", "image2")}}
    return {"input_size": size}


def _package(name: str) -> ModuleType:
    if name == "keras":
        from isopter.capture.keras.start import import_keras

        return import_keras("keras:NAME")
    if importlib.util.find_spec(name) is None:
        raise MissingExtra(name, name, f"{name}:NAME")
    return user_code(lambda: importlib.import_module(name), f"importing {name}")


def _unknown(zoo: str, name: str, known: Iterable[str], what: str = "model") -> UsageError:
    names = list(known)
    near = difflib.get_close_matches(name.lower(), {n.lower(): n for n in names}, n=4, cutoff=0.5)
    near = [n for low in near for n in names if n.lower() == low]
    hint = f"Nearest: {', '.join(near)}." if near else f"It has, among {len(names)}: {', '.join(names[:4])}."
    return UsageError(f"{zoo} has no {what} {name!r}. {hint} Expected {zoo}:NAME.")


# ---- torchvision ---------------------------------------------------------------------------------------------------------


def _torchvision(package: ModuleType, name: str, pretrained: bool) -> Any:
    models = package.models
    known = models.list_models()
    if name not in known:
        raise _unknown("torchvision", name, known)
    options: dict[str, Any] = {"weights": "DEFAULT" if pretrained else None}
    if not pretrained and "weights_backbone" in inspect.signature(models.get_model_builder(name)).parameters:
        options["weights_backbone"] = None
    if not pretrained and name.endswith(("googlenet", "inception_v3")):  # they take minutes over it, or warn
        options["init_weights"] = False
    model = user_code(lambda: models.get_model(name, **options), f"building torchvision:{name}")
    if name not in models.list_models(module=models.detection):
        return model
    from isopter.capture.torch.dense import up_to_boxes

    return up_to_boxes(model)


def _torchvision_size(name: str, model: Any) -> Size | None:
    """What the transforms of the trained weights crop to, or the fixed size of a detector."""
    models = importlib.import_module("torchvision").models
    if (side := getattr(model, "side", None)) is not None:
        return (1, 3, side, side)
    weights: Any = next(iter(models.get_model_weights(name)), None)
    given = getattr(getattr(weights, "transforms", None), "keywords", {})
    crop = given.get("crop_size", given.get("resize_size"))
    if crop is None:
        return None
    sides = (crop, crop) if isinstance(crop, int) else (*crop, *crop)[-2:]
    if name in models.list_models(module=models.video):
        return (1, 3, max(FRAMES, weights.meta.get("min_temporal_size", 0)), *sides)
    return (1, 3, *sides)


# ---- timm ----------------------------------------------------------------------------------------------------------------


def _timm(package: ModuleType, name: str, pretrained: bool) -> Any:
    base, _, tag = name.partition(".")
    if not re.fullmatch(r"\w+", base) or not package.is_model(base):  # hf-hub:... would be fetched, and is no name
        raise _unknown("timm", name, package.list_models())
    if tag and name not in (tags := package.list_pretrained(f"{base}.*")):
        raise _unknown("timm", name, tags, "weights")
    return user_code(lambda: package.create_model(name, pretrained=pretrained), f"building timm:{name}")


def _timm_size(model: Any) -> Size | None:
    """timm notes on a model for which size it was made; so does whatever is built with it."""
    noted = getattr(model, "pretrained_cfg", None)
    size = noted.get("input_size") if isinstance(noted, dict) else None
    return (1, *size) if size else None


# ---- keras ---------------------------------------------------------------------------------------------------------------


def _keras(package: ModuleType, name: str, pretrained: bool) -> Any:
    from isopter.capture.keras import zoo

    known = zoo.names(package)
    if name.lower() not in known:
        raise _unknown("keras", name, known.values())
    return zoo.build(package, known[name.lower()], pretrained)


ZOOS: dict[str, Callable[[ModuleType, str, bool], Any]] = {"torchvision": _torchvision, "timm": _timm, "keras": _keras}
