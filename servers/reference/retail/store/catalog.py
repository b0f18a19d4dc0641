"""The catalog: read from the database once, then looked up in memory; it does not change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from meshpact.servers.storage.database import Database
from reference.retail.store.tables import products


class Product(NamedTuple):
    """One product, with its list price in minor units of its currency."""

    sku: str
    description: str
    list_minor_units: int
    currency: str


class Catalog:
    """All products, by SKU."""

    def __init__(self, found: Iterable[Product]) -> None:
        self._products = {product.sku: product for product in found}
        self._order = sorted(self._products)

    def __len__(self) -> int:
        return len(self._order)

    def get(self, sku: str) -> Product | None:
        """The product of a SKU, in any case of letters."""
        return self._products.get(sku.upper())

    def __iter__(self) -> Iterator[Product]:
        """All products, by SKU."""
        return (self._products[sku] for sku in self._order)


async def load(database: Database) -> Catalog:
    """The catalog that stands in a database; empty when it is new."""

    def look(connection: Connection) -> list[Product]:
        return [Product(*row) for row in connection.execute(select(products))]

    return Catalog(await database.read(look))


async def fill(database: Database, found: list[Product]) -> None:
    """Writes the catalog into a database, unless another process was faster."""

    def book(connection: Connection) -> None:
        if connection.execute(select(products.c.sku).limit(1)).first() is None:
            connection.execute(insert(products), [product._asdict() for product in found])

    await database.write(book)
