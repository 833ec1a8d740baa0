"""``python -m isopter``."""

from isopter.cli.main import main

main(prog="python -m isopter")
