"""Effective receptive fields: how much each input pixel matters to a unit, measured on a live model or expected from theory."""
