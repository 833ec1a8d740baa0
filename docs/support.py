"""Write the table of ONNX ops in docs/frameworks.md from the registry: python docs/support.py."""

from __future__ import annotations

import re
from pathlib import Path

from isopter.capture.onnx import translate

PAGE = Path(__file__).resolve().parent / "frameworks.md"
FAMILIES = {
    "pointwise": "pointwise",
    "windows": "convolution, pooling, sampling",
    "resize": "interpolation",
    "shapes": "moving positions",
    "indexing": "indexing",
    "mixing": "reductions, norms, products",
    "recurrent": "recurrent",
}


def table() -> str:
    """Families of ops, each with the ops that have a translator."""
    rows: dict[str, list[str]] = {}
    for domain, op in translate.known():
        family = translate.function_of(domain, op).__module__.rpartition(".")[2]
        rows.setdefault(family, []).append(op if not domain else f"{op} ({domain})")
    lines = ["| family | ops |", "|---|---|"]
    return "\n".join(lines + [f"| {FAMILIES[key]} | {', '.join(rows[key])} |" for key in FAMILIES])


def page(text: str) -> str:
    """The page with the table of today."""
    return re.sub(r"(<!-- ops -->\n).*?(\n<!-- /ops -->)", lambda m: m[1] + table() + m[2], text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
