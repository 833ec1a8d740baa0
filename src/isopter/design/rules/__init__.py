"""The rules for findings, one family per file."""
