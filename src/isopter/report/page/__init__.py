"""The data of the interactive report, which is one page of HTML."""
