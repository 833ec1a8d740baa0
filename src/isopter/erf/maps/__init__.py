"""Maps of how much each pixel matters: their place, their metrics, their errors; written, drawn, compared."""
