"""The command line: arguments in, text out. Everything else is imported by the command that needs it."""
