"""The example that makes the table of Araujo, Norris & Sim 2019 anew."""

import csv
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import araujo2019
from figures import Output


def test_the_published_numbers_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes and strides as published; paddings too, but for those that Keras writes out, whose difference is accounted for."""
    networks = [n for n in araujo2019.NETWORKS if n.slim in ("mobilenet_v1", "resnet_v1_50")]
    found = araujo2019.main(Output(tmp_path), networks)
    assert [(r.size, r.stride, r.padding) for r in found] == [(315, 32, 126), (315, 32, 127), (483, 32, 241), (483, 32, 241)]
    assert all(r.explained for r in found)
    assert [r.same for r in found] == [0, 30, -2, 0]
    assert "conv_pad_2" in found[1].why and found[0].why == ""
    assert "NOT EXPLAINED" not in capsys.readouterr().out
    assert (tmp_path / "araujo2019.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with (tmp_path / "araujo2019.csv").open(encoding="utf-8") as file:
        assert [row["size"] for row in csv.DictReader(file)] == ["315", "315", "483", "483"]


def test_what_is_not_explained_is_said() -> None:
    network = araujo2019.NETWORKS[0]
    row = araujo2019.Row(network, 224, 212, 32, 91, 0, ())
    assert not row.explained
    assert "NOT EXPLAINED" in araujo2019.table([row])


@pytest.mark.slow
def test_all_published_networks_are_found(tmp_path: Path) -> None:
    found = araujo2019.main(Output(tmp_path), araujo2019.NETWORKS)
    assert len(found) == 2 * len(araujo2019.NETWORKS)
    assert all(r.explained for r in found)
