"""A model behind a page on one's own machine."""
