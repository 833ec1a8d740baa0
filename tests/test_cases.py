"""The cases themselves: names are unique, factories give fresh modules, and every forward runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from cases import CASES, INTEGER, Case, example_input


def _tensors(item: Any) -> Iterator[torch.Tensor]:
    if isinstance(item, torch.Tensor):
        yield item
    elif isinstance(item, Mapping):
        yield from (leaf for value in item.values() for leaf in _tensors(value))
    else:
        yield from (leaf for value in item for leaf in _tensors(value))


def test_names() -> None:
    """Ids are unique, and `INTEGER` names real cases."""
    names = [name for name, _, _ in CASES]
    assert len(set(names)) == len(names)
    assert set(names) >= INTEGER


@pytest.mark.parametrize("case", CASES, ids=[name for name, _, _ in CASES])
def test_runs(case: Case) -> None:
    """Forward runs in both precisions in evaluation mode, changes no input, and gives non-empty finite tensors."""
    _, factory, _ = case
    module, other = factory().eval(), factory()
    assert module is not other
    x = example_input(case)
    before = x.clone()
    with torch.no_grad():
        outputs = list(_tensors(module(x)))
        double = list(_tensors(module.double()(x.double() if x.is_floating_point() else x)))
    assert outputs
    assert torch.equal(x, before)
    assert [y.shape for y in outputs] == [y.shape for y in double]
    assert all(y.numel() > 0 and torch.isfinite(y).all() for y in outputs)
