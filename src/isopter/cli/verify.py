"""``isopter verify``."""

from __future__ import annotations

import sys
from pathlib import Path

from isopter.cli.common import as_json, axes_of, input_of, loaded_model, user_code, write
from isopter.errors import UsageError


def run(
    model: str,
    size: str | None,
    units: int,
    seed: int,
    weights: str,
    form: str | None,
    output: str | None,
    training: bool,
    axes: str | None,
    pretrained: bool,
) -> int:
    """Probe the model; 1 where it and the analysis disagree."""
    from isopter.capture.dispatch import framework, is_file
    from isopter.verification import verify

    loaded = loaded_model(model, pretrained)
    if framework(loaded) is None or is_file(loaded, ".pt2"):
        what = "a layer text" if isinstance(loaded, str) else "an exported program" if isinstance(loaded, Path) else "a saved analysis"
        forms = "file.py:Net, pkg.module:factory, x.keras or x.onnx"
        raise UsageError(f"verify runs the model itself, and {what} cannot be run. Expected {forms}.")
    with user_code():
        found = verify(
            loaded,
            **input_of(size, model, loaded),
            axes=axes_of(axes),
            units=units,
            seed=seed,
            training=training,
            weights=weights,
            progress=sys.stderr.isatty(),
        )
    if form == "json":
        layers = [{"name": v.name, "checked": v.checked, "missed": v.missed, "excess": v.excess, "exact": v.exact} for v in found.layers]
        data = {
            "ok": found.ok,
            "checked": found.checked,
            "missed": found.missed,
            "excess": found.excess,
            "pixels": [list(map(int, p)) for p in found.pixels],
            "weights": found.weights,
            "layers": layers,
        }
        write(as_json(data), output)
    else:
        write(repr(found), output)
    return 0 if found.ok else 1
