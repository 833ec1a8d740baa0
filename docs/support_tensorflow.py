"""Write the table of TensorFlow's ops in docs/frameworks.md from the registry: python docs/support_tensorflow.py."""

from __future__ import annotations

import re
from pathlib import Path

from isopter.capture.tensorflow import translate

PAGE = Path(__file__).resolve().parent / "frameworks.md"
FAMILIES = {
    "pointwise": "pointwise",
    "windows": "convolution, pooling, patches",
    "resize": "interpolation",
    "shapes": "moving positions",
    "indexing": "indexing",
    "mixing": "reductions, products",
    "norms": "norms",
}


def table() -> str:
    """Families of ops, each with the ops that have a translator."""
    rows: dict[str, list[str]] = {}
    for op in translate.known():
        rows.setdefault(translate.function_of(op).__module__.rpartition(".")[2], []).append(op)
    assert rows.keys() == FAMILIES.keys()
    lines = ["| family | ops |", "|---|---|"]
    return "\n".join(lines + [f"| {FAMILIES[key]} | {', '.join(rows[key])} |" for key in FAMILIES])


def page(text: str) -> str:
    """The page with the table of today."""
    return re.sub(r"(<!-- tensorflow -->\n).*?(\n<!-- /tensorflow -->)", lambda m: m[1] + table() + m[2], text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
