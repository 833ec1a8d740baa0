"""The house rules: which part may import which, what is public, and that what the documents show is true."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import isopter

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "isopter"
FILES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FRAMEWORKS = {"torch", "torchvision", "jax", "flax", "equinox", "keras", "tensorflow", "onnx", "onnxruntime"}
FRAMEWORK_PARTS = {"capture", "erf"}
KNOWS: dict[str, set[str]] = {
    "static": set(),
    "onnx": {"onnx", "onnxruntime"},
    "tensorflow": {"tensorflow"},
    "jax": {"jax", "flax", "equinox"},
    "keras": {"keras", "tensorflow", "jax", "torch"},
}
"""Frameworks that the folders of captures and of measuring know; others know torch."""

MAY_IMPORT = {
    "errors": set(),
    "graph": {"errors"},
    "reads": {"errors", "graph", "reads"},
    "fields": {"errors", "graph", "reads", "fields"},
    "capture": {"errors", "graph", "reads", "capture"},
}
"""Parts of isopter by the parts they may import. Parts that are not here may import all but those in NEVER."""

DOORS = {"fields/field.py": {"erf", "report"}, "fields/unit.py": {"report"}, "fields/paths.py": {"report"}}
"""Doors to every answer: the methods of what users hold (Field, Region, PathDistribution) fetch what stands above it, when asked."""

NEVER = {"report": {"capture", "cli"}, "design": {"capture", "report", "cli"}}

PUBLIC = {
    "Analysis", "CaptureError", "GraphError", "IsopterError", "LayerNotFound", "MissingExtra", "UnsupportedOps", "UsageError",
    "Verification", "Watch", "analyze", "compare", "effective", "load", "objects", "register", "verify",
}  # fmt: skip
"""A name added here is a promise; a name removed breaks someone's code."""


def name_of(path: Path) -> str:
    """A file as a test id."""
    return str(path.relative_to(ROOT))


def part_of(module: str) -> str:
    """``isopter.reads.rules.conv`` is of the part ``reads``; ``isopter`` itself of no part."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, at the top or inside functions, relative ones resolved."""
    here = ("isopter", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            if module == "isopter":
                yield from (f"isopter.{alias.name}" for alias in node.names)
            else:
                yield module


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_point_one_way(path: Path) -> None:
    """graph <- reads <- fields, capture -> graph; report never captures; nothing imports the command line."""
    part = part_of(".".join(("isopter", *path.relative_to(PACKAGE).with_suffix("").parts)))
    used = {part_of(module) for module in imports(path) if module.split(".")[0] == "isopter"}
    allowed = MAY_IMPORT.get(part)
    if allowed is not None:
        allowed = allowed | DOORS.get(str(path.relative_to(PACKAGE)), set())
        assert used <= allowed, f"{part} may import {sorted(allowed)}, not {sorted(used - allowed)}"
    assert not used & NEVER.get(part, set())
    assert "cli" not in used or part in {"cli", "__main__"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_frameworks_at_the_edge(path: Path) -> None:
    """Only captures know frameworks."""
    if path.relative_to(PACKAGE).parts[0] not in FRAMEWORK_PARTS:
        assert not {module.split(".")[0] for module in imports(path)} & FRAMEWORKS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_each_framework_in_its_folder(path: Path) -> None:
    """The folder of a framework knows that one alone (Keras its backends), and what captures share knows none."""
    parts = path.relative_to(PACKAGE).parts
    used = {module.split(".")[0] for module in imports(path)} & FRAMEWORKS
    if parts[0] in FRAMEWORK_PARTS:
        assert used <= KNOWS.get(parts[1], {"torch", "torchvision"})


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_small(path: Path) -> None:
    """A file of more than 400 lines has two ideas in it."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_public_names() -> None:
    """`__all__` changes only on purpose."""
    assert set(isopter.__all__) == PUBLIC
    assert sorted(isopter.__all__) == list(isopter.__all__)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_names_are_documented(name: str) -> None:
    """Every public function and class has a docstring of its own, and so have its public methods."""
    thing = getattr(isopter, name)
    assert thing.__doc__ and thing.__doc__.strip()
    if not inspect.isclass(thing):
        return
    assert "__doc__" in vars(thing)
    for key, member in vars(thing).items():
        function = member.fget if isinstance(member, property) else getattr(member, "func", member)
        if not key.startswith("_") and inspect.isfunction(function):
            assert function.__doc__, f"{name}.{key} has no docstring"


def test_typed() -> None:
    """The package ships its types."""
    assert (PACKAGE / "py.typed").is_file()


def run(*arguments: str, cwd: Path = ROOT) -> str:
    """What a fresh Python prints; fails with its errors."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_import_is_light() -> None:
    """Importing isopter imports no framework and no plotting."""
    heavy = FRAMEWORKS | {"matplotlib", "pandas", "scipy", "rich", "click"}
    loaded = run("-c", "import isopter, sys; print(*sorted(sys.modules))").split()
    assert not {module.split(".")[0] for module in loaded} & heavy


# ---- documents ---------------------------------------------------------------------------------------------------------


def blocks(text: str, language: str) -> list[str]:
    """Fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if blocks(p.read_text(encoding="utf-8"), "python")], ids=name_of)
def test_code_blocks_run(path: Path, tmp_path: Path) -> None:
    """The Python blocks of a document run in order, and ``print(...)  # this`` prints this."""
    code = "\n".join(blocks(path.read_text(encoding="utf-8"), "python"))
    (tmp_path / "document.py").write_text(code, encoding="utf-8")
    printed = run("document.py", cwd=tmp_path)
    said = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    if said:
        assert printed.splitlines() == said


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Files and headings that a document links to exist."""
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), f"{path.name} links to {target}"
        if heading:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}, target


def test_readme_commands_exist() -> None:
    """Every ``isopter`` command and every make target that the README shows is there."""
    shell = "\n".join(blocks((ROOT / "README.md").read_text(encoding="utf-8"), "sh"))
    commands = set(re.findall(r"^isopter ([a-z-]+)", shell, re.MULTILINE))
    known = run("-m", "isopter.cli.main", "--help")
    assert commands and all(re.search(rf"^\s+{command}\b", known, re.MULTILINE) for command in commands), commands
    targets = set(re.findall(r"^make ([a-z-]+)", shell, re.MULTILINE))
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets and targets <= made
