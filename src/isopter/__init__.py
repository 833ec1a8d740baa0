"""isopter: what a neural network can see. The receptive field of every layer, exactly, proved on your own model.

The public names; nothing is computed and no framework is imported here.
"""

from isopter.analysis import Analysis, analyze, load
from isopter.errors import (
    CaptureError,
    GraphError,
    IsopterError,
    LayerNotFound,
    MissingExtra,
    UnsupportedOps,
    UsageError,
)
from isopter.register import register
from isopter.verify import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "CaptureError",
    "GraphError",
    "IsopterError",
    "LayerNotFound",
    "MissingExtra",
    "UnsupportedOps",
    "UsageError",
    "Verification",
    "analyze",
    "load",
    "register",
    "verify",
]
