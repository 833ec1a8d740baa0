"""How fast the page is. Times depend on the machine and on what else it does, so they are printed; only what is absurd fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from examples import models
from reports import photograph, report

import isopter as ip

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from report import measured

ABSURD = 1000.0


def measure(browser: Any, file: Path, layers: list[str]) -> dict[str, Any]:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    found = measured(context, file, layers)
    context.close()
    print("\n", {name: value if isinstance(value, dict) else round(value, 1) for name, value in found.items()})
    return found


def test_resnet18(browser: Any) -> None:
    found = measure(browser, report("resnet18", image=True).file, ["layer2.1.add"])
    assert found["layer2.1.add"]["drawn"] < ABSURD
    assert found["layer2.1.add"]["units seen"] > 100
    assert found["layer2.1.add"]["dragged a second"] > 3
    assert found["redraw"] < ABSURD
    assert found["drawn"] < 10 * ABSURD


def test_resnet152(browser: Any, tmp_path: Path) -> None:
    """The largest network of the examples, beside its smaller sister: under a megabyte."""
    large, beside = (ip.analyze(make(), (1, 3, 512, 512)) for make in (models.resnet152, models.resnet101))
    file = large.save_html(tmp_path / "large.html", compare=beside, image=photograph((512, 512)))
    assert file.stat().st_size < 1_000_000
    found = measure(browser, file, ["layer3.35.add", "layer4.2.add"])
    assert found["layer4.2.add"]["drawn"] < ABSURD
    assert found["layer3.35.add"]["drawn"] < ABSURD


def test_sizes() -> None:
    """A typical report, with the expected fields of 20 layers, is under 350 kB without a picture."""
    made = ip.analyze(models.resnet50(), (1, 3, 224, 224))
    from isopter.report.page.document import document

    page = document([made], effective=[None], verified=[None])
    assert len(page.encode()) < 350_000
    assert len(document([made], effective=[False], verified=[None])) < len(page)
