"""What a notebook shows of a layer and of a unit: small, escaped, without a script, and the drawing is the set."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from torch import nn

import isopter as ip
from isopter.fields.field import Field
from isopter.fields.unit import Support
from isopter.report.cards import MOST_CELLS, drawing


class Seen(HTMLParser):
    """Tags and text of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def drawn(svg: str) -> np.ndarray:
    """The pixels that the rectangles of a drawing cover."""
    root = ET.fromstring(svg)
    width, height = (int(v) for v in root.attrib["viewBox"].split()[2:])
    mask = np.zeros((height, width), bool)
    for rect in root:
        if "class" not in rect.attrib:
            x, y, n = (int(rect.attrib[k]) for k in ("x", "y", "width"))
            assert not mask[y, x : x + n].any(), "no pixel twice"
            mask[y, x : x + n] = True
    return mask


@pytest.mark.parametrize("seed", range(20))
def test_drawing_is_the_set(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, MOST_CELLS, rng.integers(1, 3))) < rng.random()
    assert (drawn(drawing(Support(mask, (0,) * mask.ndim))) == np.atleast_2d(mask)).all()


def test_no_drawing_of_what_cannot_be_seen() -> None:
    for shape in ((MOST_CELLS + 1, 3), (0, 0), (3, 3, 3)):
        assert drawing(Support(np.ones(shape, bool), (0,) * len(shape))) == ""


@pytest.mark.parametrize(
    ("text", "shape"),
    [("[conv 3 d2 p2]*3", (1, 1, 40, 40)), ("conv 7 s2 p3, [conv 3 p1]*60", (1, 3, 224, 224)), ("conv 3 p1", (1, 1, 1, 1))],
)
def test_cards(text: str, shape: tuple[int, ...]) -> None:
    a = ip.analyze(text, shape)
    f = a[a.outputs[0]]
    unit = tuple(n // 2 for n in f.units)
    for thing in (f, f.region(unit), f.support(unit)):
        html = thing._repr_html_()
        assert len(html.encode()) < 20_000 and "script" not in Seen(html).tags and not re.search(r"\bon\w+=|https?:", html)
    assert f"{f.size[0]}" in Seen(f._repr_html_()).text


def test_card_of_a_field_shows_its_set() -> None:
    f = ip.analyze("[conv 3 d2 p2]*3", (1, 1, 40, 40))["conv3"]
    svg = re.search("<svg.*</svg>", f._repr_html_())
    assert svg and (drawn(svg[0]) == f.support((20, 20)).mask).all()


def test_cards_of_the_odd() -> None:
    """Unbounded, reading nothing, of three axes, by phase."""
    whole = ip.analyze(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), (1, 1, 4, 4))
    assert "inf" in Seen(whole[whole.outputs[0]]._repr_html_()).text
    sparse = ip.analyze(nn.ConvTranspose2d(1, 1, 1, 3), (1, 1, 6, 6))
    f = sparse[sparse.outputs[0]]
    assert "by phase {0, 1}" in Seen(f._repr_html_()).text and "reads nothing" in Seen(f.support((1, 1))._repr_html_()).text
    volume = ip.analyze(nn.Conv3d(1, 1, 3), (1, 1, 5, 5, 5))
    assert "<svg" not in volume[volume.outputs[0]]._repr_html_()


def test_hostile_names() -> None:
    a = ip.analyze("conv 3 p1", (1, 1, 9, 9))
    f = Field(a["conv1"].walks, a["conv1"].op, "</style><script>alert(1)</script><b onload=x>" + "y" * 500)
    seen = Seen(f._repr_html_())
    assert "script" not in seen.tags and len(f._repr_html_()) < 6000
    assert set(seen.tags) <= {"style", "div", "b", "table", "tr", "th", "td", "svg", "rect"}
