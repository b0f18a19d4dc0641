"""Why the warehouse does not do what it was asked."""

from __future__ import annotations


class StockProblem(Exception):
    """Base of the warehouse's refusals: nothing was booked."""


class Shortage(StockProblem):
    """Fewer items are on hand than were asked for."""

    def __init__(self, sku: str, available: int, requested: int) -> None:
        super().__init__(f"{available} of {sku} on hand, {requested} asked for")
        self.sku = sku
        self.available = available
        self.requested = requested


class UnknownSku(StockProblem):
    """The warehouse has no such code."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"no SKU {sku}")
        self.sku = sku


class UnknownReservation(StockProblem):
    """Nothing was reserved under this name."""

    def __init__(self, reservation: str) -> None:
        super().__init__(f"no reservation {reservation}")
        self.reservation = reservation


class EndedReservation(StockProblem):
    """The reservation has come to an end that does not go together with what was asked."""

    def __init__(self, reservation: str, state: str) -> None:
        super().__init__(f"reservation {reservation} is {state}")
        self.reservation = reservation
        self.state = state


class ReusedRequest(StockProblem):
    """The name was used before, with other content."""

    def __init__(self, request: str) -> None:
        super().__init__(f"{request} was used for something else")
        self.request = request


class UnknownRevision(StockProblem):
    """The ledger has not come to this revision."""

    def __init__(self, revision: int, newest: int) -> None:
        super().__init__(f"revision {revision}, the ledger is at {newest}")
        self.revision = revision
        self.newest = newest
