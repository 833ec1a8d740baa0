"""A network whose layers have the worst names that PyTorch allows (it forbids dots)."""

from __future__ import annotations

import torch
from torch import nn

import isopter as ip

NAMES = (
    "</script><script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "\"'`${pwned=1}",
    "\u202egnitirw desrever\u202c",
    "\N{FAMILY}\N{SNAKE}\N{ZERO WIDTH JOINER}\N{SKULL}\N{VARIATION SELECTOR-16}",
    "=HYPERLINK(\"http://example\",\"a\")",
    "&lt;b&gt;&amp;\\u003cscript\\u003e<!--",
    "x" * 300,
    " spaces\tand\nlines ",
    "{{data}}{{script}}",
)


def hostile() -> ip.Analysis:
    """One convolution per name; the dilations make the findings speak of them."""
    torch.manual_seed(0)
    net = nn.Sequential()
    for index, name in enumerate(NAMES):
        net.add_module(name, nn.Conv2d(3, 3, 3, padding=4, dilation=4) if index % 2 else nn.Conv2d(3, 3, 3, padding=1))
    return ip.analyze(net.eval(), (1, 3, 48, 40))
