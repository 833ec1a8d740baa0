"""One file per family of ops. Importing a file registers its rules."""
