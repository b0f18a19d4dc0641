"""Which sale a return belongs to, as far as the file alone can tell.

A return matches the customer's latest earlier sale of its code that still has items out; what that
sale does not cover is unmatched. The services match again against the orders they really took.
"""

from __future__ import annotations

from dataclasses import dataclass

from reference.retail.dataset.books import Books, Cancellation


@dataclass(frozen=True)
class Matches:
    """Lines and items of cancellations, by whether a sale covers them.

    A line is matched when a sale covers all of it, partly when some, unmatched when nothing.
    """

    lines_matched: int
    lines_partly: int
    lines_unmatched: int
    items_matched: int
    items_unmatched: int


def match(books: Books) -> Matches:
    """Matches every cancellation of the books with the sales before it."""
    out: dict[tuple[str, str], list[int]] = {}
    lines = [0, 0, 0]
    covered = uncovered = 0
    for trade in books.trades():
        for line in trade.lines:
            sales = out.setdefault((trade.customer, line.sku), [])
            if isinstance(trade, Cancellation):
                while sales and sales[-1] == 0:
                    sales.pop()
                part = min(line.quantity, sales[-1]) if sales else 0
                if part:
                    sales[-1] -= part
                covered += part
                uncovered += line.quantity - part
                lines[0 if part == line.quantity else 1 if part else 2] += 1
            else:
                sales.append(line.quantity)
    return Matches(lines[0], lines[1], lines[2], covered, uncovered)
