"""Watching effective fields while a model trains: when to measure, what to keep, and where to write it."""
