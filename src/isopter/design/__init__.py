"""Answers to "what to do about it": findings, cost, tiles, object sizes, comparisons."""
