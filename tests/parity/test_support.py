"""The tables of ops in docs/frameworks.md say what the captures know."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_tables_of_ops_are_of_today() -> None:
    for framework in ("onnx", "jax", "tensorflow"):
        pytest.importorskip(framework)
    spec = importlib.util.spec_from_file_location("support", DOCS / "support.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (DOCS / "frameworks.md").read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in text for name in module.tables())
    assert module.page(text) == text, "run python docs/support.py"
