"""A small generated world of coloured shapes in the official file formats of all five annotation sets."""
