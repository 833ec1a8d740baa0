"""What a user would call an op: its name scope, with dots."""

from __future__ import annotations


def module_of(name: str) -> str:
    """The module of an op: ``resnet/conv1/Conv2D`` is of ``resnet.conv1``, and ``add`` of none."""
    return name.rpartition("/")[0].replace("/", ".")


def label_of(name: str) -> str:
    """An op's name as a layer's: ``resnet.conv1.Conv2D``."""
    return name.replace("/", ".")
