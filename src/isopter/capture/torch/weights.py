"""What a file of weights holds, read without running anything in it."""

from __future__ import annotations

import argparse
import re
import tarfile
import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from isopter.errors import MissingExtra, UsageError

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".tar")
"""Files of torch.save. Those called .pth.tar are no archives of tar, and real ones are refused."""

HARMLESS = [argparse.Namespace]
"""Classes beside torch's own that training scripts save with the weights (their options), and that run nothing when they are made."""


_CODE = re.compile(r"GLOBAL ([\w.]{1,80})|Can only (?:create new object|build)|Trying to call reduce|Unsupported operand")
"""What PyTorch's reader says of a file that asks for more than tensors and containers."""


def read_weights(path: Path) -> Any:
    """The object that was saved: mostly a dict. Raises UsageError for what is no such file, is damaged, or holds code."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
        raise UsageError(f"The file of weights {path} {what}. Expected one of {', '.join(PICKLES[:4])} or .safetensors.")
    suffix = path.suffix.lower()
    if suffix not in (*PICKLES, ".safetensors"):
        raise UsageError(f"{path} is no file of weights by its name. Expected one of {', '.join(PICKLES[:4])} or .safetensors.")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise UsageError(f"{path} is empty. Save or download it again.")
    if head.startswith(b"version https://git-lfs"):
        raise UsageError(f"{path} holds no weights but a pointer of Git LFS to them. Run: git lfs pull")
    return _safetensors(path) if suffix == ".safetensors" else _pickled(path, head)


def _safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError:
        raise MissingExtra("safetensors", "safetensors", f"Reading {path}") from None
    try:
        return load_file(path, device="cpu")
    except Exception as error:  # the reader's own errors, and torch's where a dtype is unknown
        raise _damaged(path, "safetensors", error) from error


def _pickled(path: Path, head: bytes) -> Any:
    """By PyTorch's reader of weights alone, which knows tensors and containers, and looks nothing else up."""
    reason = _unzipped(path) if head.startswith(b"PK\x03\x04") else _old(path, head)
    if reason:
        raise UsageError(f"{path} {reason}. Expected what torch.save(model.state_dict(), path) writes.")
    try:
        with _harmless(), warnings.catch_warnings(action="ignore"):  # it asks the user to report odd files to PyTorch
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is damaged makes it raise almost anything
        if (code := _CODE.search(str(error))) is not None:
            raise UsageError(_refused(path, code[1] or "objects that are made by calls")) from error
        raise _damaged(path, "torch.save", error) from error


def _unzipped(path: Path) -> str:
    """Why a zip archive is none that torch.save wrote; empty if it may be one."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except Exception as error:
        return f"is damaged, or was cut off ({type(error).__name__}: {str(error)[:80]})"
    names = {record.filename.partition("/")[2] for record in records}
    if "constants.pkl" in names or any(name.startswith(("code/", "models/")) for name in names):
        return "holds a program (of TorchScript or torch.export), not weights alone"
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):  # a few bytes could unpack to any size
        return "is compressed, and torch.save never compresses"
    return "" if "data.pkl" in names else "is an archive of something else"


def _old(path: Path, head: bytes) -> str:
    """Why a file is none that torch.save wrote before it wrote zip archives; empty if it may be one."""
    if not head.startswith(b"\x80"):
        return "is no file of weights"
    try:
        tarfile.open(path, mode="r:").close()
    except (tarfile.TarError, OSError, ValueError):
        return ""
    return "is an archive of tar"  # PyTorch before 2.6 could be made to run code by one, whatever it was told (CVE-2025-32434)


def _harmless() -> AbstractContextManager[Any]:
    allow = getattr(torch.serialization, "safe_globals", None)  # since PyTorch 2.5
    return allow(HARMLESS) if allow is not None else nullcontext()


def _refused(path: Path, code: str) -> str:
    return (
        f"{path} holds more than weights: opening it would run code ({code}), so it is refused. If you trust where it comes from, "
        "save the weights alone, where its classes can be imported: "
        "torch.save(torch.load(path, weights_only=False)['model'].state_dict(), 'weights.pt'), with the name it has in place of 'model'."
    )


def _damaged(path: Path, writer: str, error: Exception) -> UsageError:
    said = printable(f"{type(error).__name__}: {error}")[:160]
    return UsageError(f"{path} is no file of {writer}, or is damaged ({said}). Save or download it again.")


def printable(text: str) -> str:
    """Text of a file for a terminal: one line, and nothing that a terminal would take as a command."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
