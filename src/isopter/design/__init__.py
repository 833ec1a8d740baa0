"""Answers to "what to do about it": findings, cost, tiles, sizes of objects, comparisons."""

from isopter.design import objects

__all__ = ["objects"]
