"""Write the tables of ops in docs/frameworks.md from the registries of the captures: python docs/support.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from isopter.capture.jax import translate as jax
from isopter.capture.jax.control import CALLS, LOOPS
from isopter.capture.onnx import translate as onnx
from isopter.capture.tensorflow import translate as tensorflow

PAGE = Path(__file__).resolve().parent / "frameworks.md"
FAMILIES = {
    "pointwise": "pointwise",
    "windows": "convolution, pooling, patches",
    "resize": "interpolation",
    "shapes": "moving positions",
    "indexing": "indexing",
    "mixing": "reductions, products",
    "norms": "norms",
    "recurrent": "recurrent",
}


def table(ops: Iterable[tuple[str, Callable[..., object]]], *more: str) -> str:
    """Families of ops, each with the ops that have a translator, by the file it stands in."""
    rows: dict[str, list[str]] = {}
    for op, translator in ops:
        rows.setdefault(translator.__module__.rpartition(".")[2], []).append(op)
    assert rows.keys() <= FAMILIES.keys(), f"a new family among {sorted(rows)}: say what it holds"
    families = (f"| {said} | {', '.join(rows[key])} |" for key, said in FAMILIES.items() if key in rows)
    return "\n".join(["| family | ops |", "|---|---|", *families, *more])


def tables() -> dict[str, str]:
    """The table of each framework whose ops are translated."""
    return {
        "tensorflow": table(tensorflow.TRANSLATORS.items()),
        "jax": table(jax.TRANSLATORS.items(), f"| taken apart | {', '.join(sorted(CALLS | LOOPS))} |"),
        "onnx": table(onnx.TRANSLATORS.items()),
    }


def page(text: str) -> str:
    """The page with the tables of today."""
    for name, rows in tables().items():
        text = re.sub(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", lambda m, rows=rows: m[1] + rows + m[2], text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
