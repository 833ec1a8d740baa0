"""Static pictures, with matplotlib: ``ax=`` in, Axes out, nothing shown. Pixels of the input have whole numbers at their centres."""
