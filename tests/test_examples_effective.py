"""The examples that draw figures: theory and measurement agree in them, and training does what they say."""

import csv
import math
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import luo2016  # noqa: E402
import training  # noqa: E402
from figures import Output  # noqa: E402

TINY = luo2016.Plan(depths=(2, 4), channels=4, samples=8, wider_samples=2, blocks=(1, 2))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


# ---- luo2016 ----------------------------------------------------------------------------------------------------------------


def test_all_figures_and_numbers_of_luo_are_written(tmp_path: Path) -> None:
    luo2016.main(Output(tmp_path / "new"), TINY)
    for name in ("depth", "maps", "wider", "residual"):
        assert is_png(tmp_path / "new" / f"luo2016-{name}.png")
    depth = rows(tmp_path / "new" / "luo2016-depth.csv")
    assert [(r["network"], r["layers"]) for r in depth[:2]] == [("uniform", "2"), ("random, linear", "2")]
    assert len(depth) == 2 * 5
    for row in depth:
        assert float(row["sigma_theory"]) == pytest.approx(math.sqrt(2 * int(row["layers"]) / 3), rel=1e-5)
        assert int(row["size"]) == 2 * int(row["layers"]) + 1
        assert float(row["sigma"]) == pytest.approx(float(row["sigma_theory"]), abs=max(5 * float(row["sigma_stderr"]), 1e-5))
    assert {r["size"] for r in rows(tmp_path / "new" / "luo2016-wider.csv")} == {"31", "127", "53"}
    assert [r["layers"] for r in rows(tmp_path / "new" / "luo2016-residual.csv")] == ["3"] * 3 + ["5"] * 3
    assert [r["paths"] for r in rows(tmp_path / "new" / "luo2016-paths.csv")] == ["1", "2", "1"]


@pytest.mark.parametrize("depth", [3, 12])
def test_uniform_weights_read_what_theory_expects_exactly(depth: int) -> None:
    own = luo2016.pair(luo2016.uniform(depth), 2, "abs")
    theory, measured = (f.map / f.map.sum() for f in (own.theory, own.measured))
    assert np.allclose(theory, measured, rtol=1e-4, atol=1e-9)
    assert own.measured.sigma[0].stderr < 1e-6


@pytest.mark.parametrize("kind", luo2016.KINDS, ids=lambda kind: kind.name)
def test_random_weights_read_it_in_the_mean(kind: luo2016.Kind) -> None:
    own = luo2016.pair(luo2016.stack(6, 12, kind), 48)
    for sigma in own.measured.sigma:
        assert 0 < sigma.stderr < 0.1
        assert abs(sigma - 2.0) < 4 * sigma.stderr


def test_every_sample_has_weights_of_its_own_and_the_result_follows_the_seed() -> None:
    net = luo2016.stack(2, 1, luo2016.KINDS[0])  # one channel, linear: with fixed weights all samples would be the same
    one, again = (luo2016.pair(net, 4).measured for _ in range(2))
    assert np.array_equal(one.map, again.map)
    assert one.relative_error > 0.1


@pytest.mark.parametrize(("how", "size", "sigma"), list(zip(luo2016.WIDER, (31, 127, 53), (3.1623, 15.4272, 8.0), strict=True)))
def test_subsampling_and_dilation_widen_as_published(how: str, size: int, sigma: float) -> None:
    field = luo2016.last_field(luo2016.stack(15, 2, luo2016.KINDS[1], **luo2016.WIDER[how]))
    assert field.size == (size, size)
    assert field.expected().sigma == pytest.approx((sigma, sigma), abs=1e-4)


def test_skip_connections_narrow_and_batch_norm_prefers_short_paths() -> None:
    own = luo2016.skips((6,), 8, 2)
    plain, residual, normed = (pair.theory for _, _, pair in own.found)
    assert [plain.sigma[0] ** 2, residual.sigma[0] ** 2] == pytest.approx([2 / 3 * 13, 2 / 3 * 7])
    assert own.counts.counts == (1, 6, 15, 20, 15, 6, 1)
    without, norm = own.paths["residual"], own.paths["residual, batch norm"]
    assert without.shares == pytest.approx([c / 64 for c in own.counts.counts])
    assert norm.mean < without.mean - 1
    assert normed.sigma[0] < residual.sigma[0]


# ---- training ---------------------------------------------------------------------------------------------------------------


def test_photographs_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    seen, unseen = training.photographs()
    assert (len(seen), len(unseen)) == (len(training.SHIPPED), 2)
    for image in seen + unseen:
        assert image.dim() == 2
        assert min(image.shape) >= 300
        assert (float(image.mean()), float(image.var())) == pytest.approx((0, 1), abs=1e-3)


def test_the_blurred_copy_is_shifted_to_the_right() -> None:
    x = torch.zeros(1, 1, 41, 41)
    x[..., 20, 10] = 1
    found = training.blurred_and_shifted(x, 2.0, 8)[0, 0]
    assert np.unravel_index(int(found.argmax()), found.shape) == (20, 18)
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)


def test_all_figures_and_numbers_of_training_are_written(tmp_path: Path) -> None:
    training.main(Output(tmp_path), replace(training.SMALL, steps=2, samples=2, looks=1))
    assert is_png(tmp_path / "training-course.png")
    assert is_png(tmp_path / "training-maps.png")
    found = rows(tmp_path / "training.csv")
    assert [(r["task"], r["step"]) for r in found[::2]] == [
        ("photographs, Laplacian", "0"), ("photographs, blur and shift", "0"), ("noise, blur and shift", "0"),
    ]  # fmt: skip
    assert {r["sigma_prior"] for r in found} == {"1.52753"}  # sqrt(2 / 3 * (1 + 5 / 2))


@pytest.fixture(scope="module")
def courses() -> list[training.Course]:
    torch.set_num_threads(1)
    plan = replace(training.SMALL, looks=1)
    return [training.train(task, plan) for task in training.tasks(plan)]


def test_a_field_begins_as_expected(courses: list[training.Course]) -> None:
    for course in courses:
        first = course.looks[0].measured
        assert first.sigma[1] == pytest.approx(course.prior.sigma[1], rel=0.15)
        assert abs(first.center_offset[1]) < 0.6


def test_a_local_task_shrinks_the_field_where_it_is(courses: list[training.Course]) -> None:
    last = courses[0].looks[-1]
    assert last.loss < 0.3
    assert max(last.measured.sigma) < 0.5 * courses[0].prior.sigma[0]
    assert max(map(abs, last.measured.center_offset)) < 0.2


def test_a_shifted_target_moves_the_field(courses: list[training.Course]) -> None:
    photographs, noise = (course.looks[-1] for course in courses[1:])
    assert max(photographs.loss, noise.loss) < 0.3
    assert photographs.measured.center_offset[1] < -1
    assert noise.measured.center_offset[1] == pytest.approx(-3, abs=0.5)
    assert abs(noise.measured.center_offset[0]) < 0.5


def test_the_target_itself_has_the_field_that_is_learned(courses: list[training.Course]) -> None:
    local, _, noise = courses
    assert local.ideal.sigma == pytest.approx((math.sqrt(0.1),) * 2)  # 1, -4, 1 squared: 2 of 20 a pixel away along either axis
    assert local.ideal_offset == pytest.approx(0, abs=1e-6)
    assert noise.ideal.sigma[1] == pytest.approx(math.sqrt(0.5), rel=0.01)  # the square of a Gaussian of deviation 1
    assert noise.ideal_offset == pytest.approx(-3)
    assert noise.looks[-1].measured.sigma[1] == pytest.approx(noise.ideal.sigma[1], rel=0.3)


def test_squared_weights_do_not_see_what_was_learned(courses: list[training.Course]) -> None:
    for course in courses:
        squared = course.looks[-1].squared
        assert squared.sigma[1] == pytest.approx(course.prior.sigma[1], rel=0.2)
        assert squared.center_offset == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.slow
def test_fourteen_blocks_learn_to_look_eight_pixels_aside() -> None:
    plan = training.Plan()
    course = training.train(training.Task("noise", plan.context), replace(plan, looks=1))
    first, last = (look.measured for look in course.looks)
    assert course.prior.sigma == pytest.approx((math.sqrt(2 / 3 * 8),) * 2)
    assert first.sigma[1] == pytest.approx(2.1, abs=0.4)
    assert abs(first.center_offset[1]) < 1
    assert -8.2 < last.center_offset[1] < -5.5
    assert last.sigma[1] == pytest.approx(4 / math.sqrt(2), rel=0.15)  # that of the squared blur
    assert 6 < math.hypot(last.sigma[1], last.center_offset[1]) < 9  # from the middle, where it was 2


@pytest.mark.parametrize("script", ["luo2016.py", "training.py"])
def test_the_scripts_say_what_they_do(script: str) -> None:
    said = subprocess.run([sys.executable, EXAMPLES / script, "--help"], capture_output=True, text=True, timeout=600, check=True)
    assert "--small" in said.stdout
    assert "effective" in said.stdout
