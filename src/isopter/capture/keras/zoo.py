"""Models by name: every function of keras.applications."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from isopter.capture.guard import user_code


def names(keras: ModuleType) -> dict[str, str]:
    """The builders of keras.applications, by their names in lower case."""
    applications = keras.applications
    return {name.lower(): name for name in dir(applications) if inspect.isfunction(getattr(applications, name))}


def build(keras: ModuleType, name: str, pretrained: bool) -> Any:
    """The whole classifier, with random weights or (downloaded, if need be) those of ImageNet. Raises CaptureError where it cannot be built
    with this backend."""
    options = {"weights": "imagenet" if pretrained else None}
    return user_code(lambda: getattr(keras.applications, name)(**options), f"building keras:{name}")
