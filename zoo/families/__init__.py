"""One file per library: what there is in it, and how to build it."""
