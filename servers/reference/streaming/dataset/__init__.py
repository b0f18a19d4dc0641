"""The catalog's data file: what its rows say, what had to be mended, and what had to be skipped."""
