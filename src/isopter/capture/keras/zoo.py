"""Models by name: every function of keras.applications."""

from __future__ import annotations

import inspect
import weakref
from types import ModuleType
from typing import Any

from isopter.capture.guard import user_code


def names(keras: ModuleType) -> dict[str, str]:
    """The builders of keras.applications, by their names in lower case."""
    applications = keras.applications
    return {name.lower(): name for name in dir(applications) if inspect.isfunction(getattr(applications, name))}


_built: weakref.WeakKeyDictionary[Any, tuple[str, bool]] = weakref.WeakKeyDictionary()


def build(keras: ModuleType, name: str, pretrained: bool, shape: tuple[int, ...] | None = None) -> Any:
    """The whole classifier, with random weights or (downloaded, if need be) those of ImageNet, for images of `shape` or of its own size.
    Raises CaptureError where it cannot be built so, with this backend."""
    options: dict[str, Any] = {"weights": "imagenet" if pretrained else None}
    if shape is not None:
        options["input_shape"] = shape
    model = user_code(lambda: getattr(keras.applications, name)(**options), f"building keras:{name}")
    _built[model] = name, pretrained
    return model


def at_size(keras: ModuleType, model: Any, size: tuple[int, ...] | None) -> Any:
    """A model that was built here by name, built again for another size; any other model as it is."""
    if size is None or model not in _built or len(size) != 4 or tuple(model.input_shape[1:]) == size[1:]:
        return model
    return build(keras, *_built[model], size[1:])
