"""Models in files and by name: what is read, what is refused, and in which words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import isopter as ip
from isopter.capture.keras import zoo
from isopter.capture.load import load_model
from isopter.capture.zoos import input_of
from isopter.cli.app import cli

keras = pytest.importorskip("keras")
family = pytest.importorskip("zoo.families.keras")
layers = keras.layers


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in args])


def small() -> Any:
    x = keras.Input((16, 16, 3), name="image")
    y = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    return keras.Model(x, layers.Conv2D(2, 3, name="head")(y), name="net")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    small().save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """The file with another config, and its weights as they were."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    config = json.loads(members["config.json"])
    edit(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_file_is_what_was_saved(saved: Path) -> None:
    a = ip.analyze(str(saved))
    assert a["head"].size == (7, 7) and a["stem"].stride == (2, 2) and a.name == "net.keras"
    assert a.layers == ip.analyze(small()).layers
    assert ip.verify(saved, units=4).ok and ip.verify(saved, units=2, weights="as-is").missed == 0
    result = run("table", saved)
    assert result.exit_code == 0 and "head" in result.stdout


def layer(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in config["config"]["layers"] if item["config"]["name"] == name)


def test_code_in_files_is_refused(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Lambda; a class of another module; one that would be found in Keras but is no layer; a function."""
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Lambda(lambda x: x * 2, name="twice")])
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ip.CaptureError, match=r"Lambda layer, which holds Python code \(twice\).*isopter runs no code"):
        ip.analyze(tmp_path / "lambda.keras")
    (tmp_path / "ran.py").write_text("raise SystemExit('it was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    hostile = ("ran", "Layer"), ("os", "system"), ("keras.utils", "get_file"), ("keras.config", "enable_unsafe_deserialization")
    for module, kind in hostile:
        edited(saved, lambda c, m=module, k=kind: layer(c, "head").update(module=m, class_name=k, registered_name=k))
        with pytest.raises(ip.CaptureError, match=rf"'{kind}' of '{module}'.*is not of Keras itself"):
            ip.analyze(saved)
    assert "ran" not in sys.modules
    edited(saved, lambda c: layer(c, "head").update(module="keras.layers", class_name="Conv2D", registered_name=None))
    function = {"module": "builtins", "class_name": "function", "config": "mine", "registered_name": "function"}
    edited(saved, lambda c: layer(c, "head")["config"].update(activation=function))
    with pytest.raises(ip.CaptureError, match="'mine'"):
        ip.analyze(saved)


@keras.saving.register_keras_serializable("tests")
class Twice(layers.Layer):
    """A layer of the user's own."""

    def call(self, x: Any) -> Any:
        return x * 2


def test_layers_that_are_registered_are_read(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(1, 3, name="c"), Twice(name="t")]).save(tmp_path / "own.keras")
    assert ip.analyze(tmp_path / "own.keras")["t"].size == (3, 3)
    known = keras.saving.get_custom_objects()
    kept = dict(known)
    known.clear()
    try:
        with pytest.raises(ip.CaptureError, match=r"is not of Keras itself.*\n?.*register_keras_serializable"):
            ip.analyze(tmp_path / "own.keras")
    finally:
        known.update(kept)


def test_damaged_files(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 30):
        saved.write_bytes(whole[:cut])
        with pytest.raises(ip.CaptureError, match=r"net\.keras"):
            ip.analyze(saved)
    saved.write_bytes(whole)
    for edit in (
        lambda c: c.update(class_name=3),
        lambda c: c["config"].update(layers=[]),
        lambda c: layer(c, "head")["config"].update(kernel_size="x"),
        lambda c: layer(c, "head")["config"].update(filters=-1),
        lambda c: c.clear(),
    ):
        saved.write_bytes(whole)
        edited(saved, edit)
        with pytest.raises(ip.CaptureError, match=r"net\.keras"):
            ip.analyze(saved)
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("config.json", json.dumps(deep).replace("[]", "[" * 60_000 + "]" * 60_000))
    with pytest.raises(ip.CaptureError):
        ip.analyze(saved)


@pytest.mark.parametrize("name", ["../evil.h5", "/etc/evil", "assets/../../evil", "C:\\evil"])
def test_members_outside_of_the_archive(saved: Path, name: str) -> None:
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(ip.CaptureError, match="outside of itself"):
        ip.analyze(saved)


def test_bombs(saved: Path) -> None:
    """What would take a thousand times its size is not opened."""
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(2**25))
    with pytest.raises(ip.CaptureError, match="would take 33,554,432 bytes"):
        ip.analyze(saved)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(ip.UsageError, match=r"old\.h5: HDF5.*save it as x\.keras"):
        load_model(str(tmp_path / "old.h5"))
    with pytest.raises(ip.UsageError, match="does not exist"):
        ip.analyze(tmp_path / "none.keras")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ip.UsageError, match="is a folder"):
        ip.analyze(tmp_path / "folder.keras")


# ---- by name -----------------------------------------------------------------------------------------------------------------


def test_models_by_name() -> None:
    """In any case; random weights; at the size they are made for."""
    model = load_model("keras:mobilenet")
    assert input_of("keras:mobilenet", model, None) == {"input_size": None}
    a = ip.analyze(model)
    assert a["conv_pw_13_relu"].size == (315, 315) and a["conv_pw_13_relu"].start == (-126, -126) and a.exact
    assert "input 1x64x96x3" in run("table", "keras:MobileNet", "-i", "1x64x96x3").stdout  # built anew for it
    with pytest.raises(ip.CaptureError, match="while building keras:MobileNet"):
        ip.analyze(model, (1, 8, 8, 3))


@pytest.mark.parametrize(("name", "near"), [("resnet5", "ResNet50"), ("VGG61", "VGG16"), ("", "It has, among")])
def test_unknown_names(name: str, near: str) -> None:
    result = run("table", f"keras:{name}")
    assert result.exit_code == 2 and result.stdout == "" and near in result.stderr and "Expected keras:NAME" in result.stderr


def test_the_zoo_holds_all_of_them() -> None:
    assert {entry.variant for entry in family.entries()} == set(zoo.names(keras).values())


def fresh(code: str, **environment: str) -> str:
    """What a fresh Python prints."""
    env = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"} | environment
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


WITHOUT = """
import os, sys
for name in {missing!r}: sys.modules[name] = None
import isopter
from isopter.capture.load import load_model
try:
    model = load_model("keras:MobileNet")
    import keras
    print(keras.backend.backend(), "KERAS_BACKEND" in os.environ)
except isopter.IsopterError as error:
    print(type(error).__name__, error)
"""


def test_what_is_not_installed(tmp_path: Path) -> None:
    """A backend that is there is taken; else the line that installs one."""
    home = {"KERAS_HOME": str(tmp_path)}
    said = fresh(WITHOUT.format(missing=["keras"]), **home)
    assert said.startswith("MissingExtra") and 'pip install "isopter[keras]"' in said
    said = fresh(WITHOUT.format(missing=["tensorflow", "jax", "torch"]), **home)
    assert said.startswith("MissingExtra") and 'pip install "isopter[tensorflow]"' in said
    said = fresh(WITHOUT.format(missing=["jax"]), **home, KERAS_BACKEND="jax")
    assert said.startswith("MissingExtra") and 'pip install "isopter[jax]"' in said
    assert fresh(WITHOUT.format(missing=["tensorflow", "jax"]), **home) == "torch False"


def test_importing_isopter_imports_no_keras() -> None:
    said = fresh("import isopter, sys; isopter.analyze('conv 3'); print('keras' in sys.modules, 'tensorflow' in sys.modules)")
    assert said == "False False"
