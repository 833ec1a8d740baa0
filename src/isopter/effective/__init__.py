"""Effective fields: how much each input pixel matters to a unit, measured on a live model or expected from theory."""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, where it hides the function of its name: importing any part of it binds ``isopter.effective`` to the package."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """`isopter.effective.measure.effective`."""
        from isopter.effective.measure import effective

        return effective(*args, **options)


sys.modules[__name__].__class__ = _Callable
