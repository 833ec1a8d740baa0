"""The entry point. Help and version are answered at once, before click or anything heavier is imported."""

import sys

from isopter.cli.plain import HELP, emit


def main(args: list[str] | None = None, prog: str = "isopter") -> None:
    """Run the command line and exit with its status. `args` default to those of the process."""
    given = sys.argv[1:] if args is None else args
    if given in ([], ["-h"], ["--help"]):
        emit(HELP)
        return
    if given == ["--version"]:
        from isopter import __version__

        emit(f"isopter {__version__}\n")
        return
    from isopter.cli.app import cli

    cli.main(args=given, prog_name=prog)


if __name__ == "__main__":
    main(prog="python -m isopter.cli.main")
