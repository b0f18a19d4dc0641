"""`python -m reference.retail.dataset`: what became of every row of the data file, as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from reference.retail.dataset import catalog, matching, rows, stock
from reference.retail.dataset.books import keep


def main() -> None:
    """Reads the file and prints the counts."""
    books = keep(rows.read())
    figures: dict[str, object] = dict(books.report.figures())
    figures["returns"] = asdict(matching.match(books))
    figures["products"] = len(catalog.catalog(books))
    figures["items_sold"] = sum(stock.sold(books.sales).values())
    figures["items_at_opening"] = sum(stock.opening(books.sales).values())
    figures["items_per_delivery"] = sum(stock.delivery(books.sales).values())
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
