"""Write the table of JAX's primitives in docs/frameworks.md from the registry: python docs/support_jax.py."""

from __future__ import annotations

import re
from pathlib import Path

from isopter.capture.jax import translate
from isopter.capture.jax.control import CALLS, LOOPS

PAGE = Path(__file__).resolve().parent / "frameworks.md"
FAMILIES = {
    "pointwise": "pointwise",
    "windows": "convolution, pooling",
    "shapes": "moving positions",
    "indexing": "indexing",
    "mixing": "reductions, products",
}


def table() -> str:
    """Families of primitives, each with those that have a translator."""
    rows: dict[str, list[str]] = {}
    for name in translate.known():
        rows.setdefault(translate.function_of(name).__module__.rpartition(".")[2], []).append(name)
    lines = ["| family | primitives |", "|---|---|", *(f"| {FAMILIES[key]} | {', '.join(rows[key])} |" for key in FAMILIES)]
    return "\n".join([*lines, f"| entered | {', '.join(sorted(CALLS | LOOPS))} |"])


def page(text: str) -> str:
    """The page with the table of today."""
    return re.sub(r"(<!-- jax -->\n).*?(<!-- /jax -->)", lambda m: m[1] + table() + "\n" + m[2], text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
