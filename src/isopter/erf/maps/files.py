"""Effective fields as plain data, and in NumPy archives."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from isopter.erf.maps.estimate import Estimate
from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.measured import Measured, Sums
from isopter.errors import UsageError

_SHARES = (0.5, 0.95, 0.99)
_AREA_SHARES = (0.2, 0.3, 0.5, 0.99)
"""Those of the tables of Ding et al. 2022."""


def to_dict(field: EffectiveField, with_map: bool) -> dict[str, Any]:
    """See `EffectiveField.to_dict`."""
    metrics = _metrics(field)
    data = {
        **_place(field),
        "metrics": {name: _each(value, _finite) for name, value in metrics.items()},
        "errors": {name: _each(value, _error) for name, value in metrics.items()} if isinstance(field, Measured) else None,
    }
    if isinstance(field, Measured):
        data |= _sampling(field) | {"relative_error": _finite(field.relative_error)}
    return data | ({"map": field.map.tolist()} if with_map else {})


def _metrics(field: EffectiveField) -> dict[str, Any]:
    return {
        "sigma": field.sigma,
        "gaussian_sigma": field.gaussian_fit(),
        "centroid": field.centroid,
        "center_offset": field.center_offset,
        "anisotropy": field.anisotropy,
        "threshold_size": field.threshold_size(),
        "ratio": field.ratio,
        "side": {str(share): field.side(share) for share in _SHARES},
        "area_ratio": {str(share): field.area_ratio(share) for share in _AREA_SHARES},
    }


def _each(value: Any, show: Any) -> Any:
    if isinstance(value, tuple):
        return [show(v) for v in value]
    return {key: show(v) for key, v in value.items()} if isinstance(value, dict) else show(value)


def _error(value: float) -> float | str | None:
    return _finite(value.stderr) if isinstance(value, Estimate) else None


def _finite(value: float) -> float | str | None:
    """A float for JSON: infinities as "inf" and "-inf", nan as None."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return str(float(value))
    return value if isinstance(value, int) else float(value)


def _place(field: EffectiveField) -> dict[str, Any]:
    return {
        "layer": field.layer,
        "statistic": field.statistic,
        "unit": list(field.unit),
        "origin": list(field.origin),
        "shape": list(field.map.shape),
        "center": list(field.center),
        "size": [_finite(s) for s in field.size],
        "image": list(field.image),
    }


def _sampling(field: Measured) -> dict[str, Any]:
    return {"samples": field.samples, "clipped": field.clipped, "seed": field.seed, "notes": list(field.notes)}


# ---- archives ------------------------------------------------------------------------------------------------------------


def save_npz(field: EffectiveField, path: str | Path) -> None:
    """See `EffectiveField.save_npz`. Entries: map, origin, meta (JSON), and of a measured field stderr and its sums."""
    meta = _place(field)
    arrays: dict[str, Any] = {"map": field.map, "origin": np.array(field.origin)}
    if isinstance(field, Measured):
        meta |= _sampling(field)
        sums, squares, counts = field.sums.arrays()
        arrays |= {"stderr": field.stderr, "sums": sums, "squares": squares, "counts": counts}
    try:
        with open(path, "wb") as file:  # given a name, numpy would add a suffix of its own
            np.savez(file, meta=np.array(json.dumps(meta)), **arrays)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror or error}. Choose another file.") from error


def load_npz(path: str | Path) -> EffectiveField:
    """The field that `save_npz` wrote: a Measured with all its errors if it was one, else an EffectiveField.

    Nothing in the file is unpickled. Raises UsageError for a file that is missing, damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            place: dict[str, Any] = {
                "layer": str(meta["layer"]),
                "statistic": meta["statistic"],
                **{name: tuple(int(v) for v in meta[name]) for name in ("unit", "origin", "image")},
                "center": tuple(float(v) for v in meta["center"]),
                "size": tuple(math.inf if v == "inf" else v for v in meta["size"]),
            }
            if "sums" not in archive:
                return EffectiveField(**place, map=archive["map"])
            sums = Sums.of([archive[name] for name in ("sums", "squares", "counts")])
            sampling: dict[str, Any] = {
                "clipped": bool(meta["clipped"]),
                "seed": int(meta["seed"]),
                "notes": tuple(map(str, meta["notes"])),
            }
            return Measured(**place, **sampling, sums=sums)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            f"{path} is no effective field written by isopter ({type(error).__name__}: {error}). Write one with field.save_npz(path)."
        ) from error
