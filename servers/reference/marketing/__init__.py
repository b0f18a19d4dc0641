"""Marketing: what was sold, live."""
