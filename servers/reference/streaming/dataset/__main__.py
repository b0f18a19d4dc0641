"""`python -m reference.streaming.dataset`: what became of the rows of the data file, as JSON."""

from __future__ import annotations

import json
import sys

from reference.streaming.dataset import rows
from reference.streaming.dataset.titles import titles


def main() -> None:
    """Reads the file and prints the counts."""
    _, report = titles(rows.read(rows.packed()))
    sys.stdout.write(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
