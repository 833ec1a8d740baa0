"""``isopter erf``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.cli.common import as_json, input_of, loaded_model, plain_warnings, user_code, write
from isopter.errors import UsageError
from isopter.report.lines import printable

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.erf.maps.field import EffectiveField

SHARES = (0.2, 0.3, 0.5, 0.99)
"""The shares at which Ding et al. 2022 give area ratios."""

FILES = (".json", ".npz", ".png")
"""What -o can write besides text."""

MOST_SHARES = 20
"""Layers in the list of who buys what; JSON has all."""


def run(
    model: str,
    layers: Sequence[str],
    size: str | None,
    expected: bool,
    samples: int | None,
    until: float | None,
    images: str | None,
    weights: str | None,
    convention: str,
    seed: int,
    device: str | None,
    dtype: str | None,
    form: str | None,
    outputs: Sequence[str],
    pretrained: bool,
) -> int:
    """Measure, or compute, the effective fields of layers; print them, and write them to files."""
    sampling = {"--samples": samples, "--until": until, "--device": device, "--dtype": dtype}
    needless = [name for name, value in sampling.items() if value is not None]
    if expected and needless:
        raise UsageError(f"--expected samples nothing: {', '.join(needless)} would have no effect. Leave out one or the other.")
    loaded = loaded_model(model, pretrained)
    given = input_of(size, model, loaded)
    if weights is not None:
        _load_weights(loaded, weights, model)
    with user_code(), plain_warnings():
        if expected:
            fields = _expected(loaded, given, layers, images, seed)
        else:
            fields = _measured(loaded, model, given, layers, samples or 64, until, images, convention, seed, device, dtype)
    entries = [field.to_dict() for field in fields.values()]
    data: dict[str, Any] = {"model": model, "layers": entries}
    if convention == "replknet":
        for entry, field in zip(entries, fields.values(), strict=True):
            entry["metrics"]["replknet_area_ratio"] = {f"{t:g}": _number(field.area_ratio(t, "replknet")) for t in SHARES}
    text = as_json(data) if form == "json" else "\n".join(_lines(model, fields, convention))
    files = [Path(o) for o in outputs if Path(o).suffix.lower() in FILES]
    for file in files:
        _write(file, fields, data)
    if not outputs:
        write(text, None)
    for output in (o for o in outputs if Path(o) not in files):
        write(text, output)
    return 0


def _load_weights(loaded: object, path: str, model: str) -> None:
    from isopter.capture.dispatch import framework, is_torch

    if not is_torch(loaded) or framework(loaded) != "torch":
        raise UsageError(
            f"--weights is for a model of PyTorch that runs, and {model!r} is none. Expected file.py:Net, torchvision:NAME or the like."
        )
    from isopter.capture.torch.checkpoint import load_weights

    load_weights(loaded, path)  # type: ignore[arg-type]


def _measured(
    loaded: object,
    model: str,
    given: dict[str, Any],
    layers: Sequence[str],
    samples: int,
    until: float | None,
    images: str | None,
    convention: str,
    seed: int,
    device: str | None,
    dtype: str | None,
) -> Mapping[str, EffectiveField]:
    from isopter.erf.live import can_be_measured
    from isopter.erf.measure import effective

    if not can_be_measured(loaded):
        raise UsageError(f"erf runs the model itself, and {model!r} cannot be run. Use --expected, or name the model's code: file.py:Net.")
    if "input_size" not in given:
        raise UsageError("erf measures models of one input tensor. Give its shape: -i 1x3x224x224.")
    published = {"target": "positive", "statistic": "relu", "crop": False} if convention == "replknet" else {}
    return effective(
        loaded,
        list(layers) or None,
        given["input_size"],
        data=images,
        samples=samples,
        until=until,
        seed=seed,
        device=device,
        dtype=dtype,
        progress="auto",
        **published,  # type: ignore[arg-type]
    )


def _expected(loaded: object, given: dict[str, Any], layers: Sequence[str], images: str | None, seed: int) -> Mapping[str, EffectiveField]:
    """Of a live model with the numbers of one forward pass in place of assumptions."""
    from isopter.analysis import Analysis
    from isopter.capture.dispatch import framework, is_torch
    from isopter.entry import analyze

    analysis = loaded if isinstance(loaded, Analysis) else analyze(loaded, **given)
    how: dict[str, Any] = {"model": loaded, "seed": seed} if is_torch(loaded) and framework(loaded) == "torch" else {}
    if images is not None:
        if not how or "input_size" not in given:
            raise UsageError("--images with --expected needs a model of PyTorch that runs, of one input tensor.")
        from isopter.erf.data.samples import samples as numbered

        how["data"] = next(iter(numbered(images, given["input_size"], seed=seed, count=1).take([0])))[1]
    found: dict[str, EffectiveField] = {}
    for name in _names(analysis, layers):
        field = analysis[name].expected(**how)
        if not field.applies:
            raise UsageError(f"{field} Drop --expected to measure it.")
        found[name] = field
    return found


def _names(analysis: Analysis, layers: Sequence[str]) -> list[str]:
    chosen = [n for pattern in layers for n in (analysis.match(pattern) or (pattern,))]
    return list(dict.fromkeys(chosen)) or [analysis.outputs[-1]]


# ---- text ---------------------------------------------------------------------------------------------------------------


def _lines(model: str, fields: Mapping[str, EffectiveField], convention: str) -> Iterator[str]:
    from isopter.erf.expected import Expected
    from isopter.erf.result import table_lines

    first = next(iter(fields.values()))
    kind = "expected" if isinstance(first, Expected) else "measured"
    yield f"{printable(model)} \u00b7 effective fields, {kind}, input pixels"
    yield ""
    yield from table_lines(list(fields.values()))
    if convention == "replknet":
        yield ""
        for name, field in fields.items():
            ratios = ", ".join(f"{t:.0%}: {field.area_ratio(t, 'replknet'):.3g}" for t in SHARES)
            yield f"{printable(name)}: area ratio (RepLKNet's script) {ratios}"
    if isinstance(first, Expected):
        yield from _anatomy(first) if len(fields) == 1 else ()
        if first.assumptions:
            yield ""
            yield f"Assuming {'; '.join(first.assumptions)}."


def _anatomy(field: Any) -> Iterator[str]:
    """Who buys what: the layers that add most to sigma squared."""
    total = sum(sum(s.variance) for s in field.shares)
    shares = sorted((s for s in field.shares if sum(s.variance) > 1e-9 * total), key=lambda s: -sum(s.variance))
    if not shares:
        return
    yield ""
    rows = [("layer", "adds to size", "part of sigma\u00b2", "energy through it")]
    for s in shares[:MOST_SHARES]:
        growth = "x".join(f"{g:g}" for g in s.growth)
        rows.append((printable(s.layer), growth, f"{sum(s.variance) / total:.1%}", f"{s.energy:.1%}"))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    for row in rows:
        yield "  ".join(cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True)))
    if len(shares) > MOST_SHARES:
        yield f"and {len(shares) - MOST_SHARES} more"


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# ---- files --------------------------------------------------------------------------------------------------------------


def _write(file: Path, fields: Mapping[str, EffectiveField], data: dict[str, Any]) -> None:
    """JSON with the maps' numbers; one archive per layer; one picture of all."""
    match file.suffix.lower():
        case ".json":
            write(as_json(data), str(file))
        case ".npz":
            for name, field in fields.items():
                field.save_npz(file if len(fields) == 1 else file.with_name(f"{file.stem}.{_plain(name)}.npz"))
        case _:
            _picture(file, list(fields.values()))


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)


def _picture(file: Path, fields: list[EffectiveField]) -> None:
    from isopter.erf.maps.plot import figure

    try:
        figure(fields).savefig(file, dpi=150)
    except OSError as error:
        raise UsageError(f"Cannot write {file}: {error.strerror or error}. Choose another file for -o.") from error
