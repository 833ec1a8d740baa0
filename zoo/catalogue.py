"""Everything the zoo holds, by library. A library that is not installed is left out, and said to be."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import pkgutil

from zoo import families
from zoo.entry import Entry
from zoo.setting import declare_operators

DISTRIBUTIONS = {"smp": "segmentation_models_pytorch"}
"""Where a library's distribution is not called as its file here."""


@functools.cache
def catalogue() -> tuple[dict[str, Entry], dict[str, str]]:
    """Entries by name, and of each library its version, or why it is left out."""
    declare_operators()
    found: dict[str, Entry] = {}
    versions: dict[str, str] = {}
    for module in pkgutil.iter_modules(families.__path__):
        try:
            here = list(importlib.import_module(f"{families.__name__}.{module.name}").entries())
        except ImportError as error:
            versions[module.name] = f"left out: {error}"
            continue
        versions[module.name] = _version(DISTRIBUTIONS.get(module.name, module.name))
        for entry in here:
            assert entry.name not in found, f"{entry.name} is in the zoo twice"
            found[entry.name] = entry
    return found, versions


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "by hand"
