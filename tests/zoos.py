"""torchvision and timm for tests, where they are installed."""

from __future__ import annotations

from types import ModuleType

import pytest
from zoo.setting import declare_operators


def installed(name: str) -> ModuleType:
    """The package, or the test is skipped."""
    declare_operators()
    return pytest.importorskip(name)
