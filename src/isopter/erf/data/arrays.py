"""Arrays of whatever library: torch tensors stay what and where they are, all others become NumPy's. No library is imported for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array: TypeAlias = "Tensor | np.ndarray[Any, Any]"


def is_tensor(item: object) -> bool:
    """Whether it is a torch tensor."""
    return _is(item, "torch", "Tensor")


def is_array(item: object) -> bool:
    """Whether it is an array: of NumPy, torch, JAX, TensorFlow, or any that NumPy can read."""
    if is_tensor(item) or isinstance(item, np.ndarray):
        return True
    parts = (getattr(item, name, None) for name in ("shape", "dtype", "__array__"))
    return not isinstance(item, np.generic | type) and all(part is not None for part in parts)


def as_array(item: Any) -> Array:
    """A tensor as it is, any other array as NumPy's."""
    return item if is_tensor(item) or isinstance(item, np.ndarray) else np.asarray(item)


def float32(tensor: Any) -> Tensor:
    """A plain, contiguous copy of a torch tensor in single precision, where it is."""
    torch: Any = sys.modules["torch"]
    copy = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    plain: Tensor = copy.as_subclass(torch.Tensor)
    return plain


def is_iterable_dataset(item: object) -> bool:
    """Whether it is a torch dataset that can only be iterated, though it may have indices."""
    return _is(item, "torch.utils.data", "IterableDataset")


def is_loader(item: object) -> bool:
    """Whether it is a torch DataLoader."""
    return _is(item, "torch.utils.data", "DataLoader")


def is_shared_out(item: object) -> bool:
    """Whether it is a torch DataLoader that gives this process a part of the data only."""
    if not is_loader(item):
        return False
    sampler: Any = item.sampler  # type: ignore[attr-defined]
    return _is(sampler, "torch.utils.data", "DistributedSampler") and bool(sampler.num_replicas > 1)


def pictures() -> tuple[type, ...]:
    """The class of Pillow's images, if anybody has imported it."""
    return _types("PIL.Image", "Image")


def torch_draws() -> tuple[Callable[[], Any], Callable[[Any], Any], Callable[[int], Any]] | None:
    """How to get, set and seed the state of torch's generator on the CPU; None where nobody has imported torch."""
    generator = getattr(sys.modules.get("torch"), "default_generator", None)
    return None if generator is None else (generator.get_state, generator.set_state, generator.manual_seed)


def _is(item: object, module: str, name: str) -> bool:
    return isinstance(item, _types(module, name))


def _types(module: str, name: str) -> tuple[type, ...]:
    found = getattr(sys.modules.get(module), name, None)
    return (found,) if isinstance(found, type) else ()
