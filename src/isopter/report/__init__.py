"""Reports: an analysis in, text or plain data out. Nothing here prints."""
