"""Captures: a model of some framework in, a neutral Graph out. The only place that imports frameworks, and only on use."""
