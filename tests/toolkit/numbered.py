"""A database of numbers: as little as there can be to write, read and lose."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select

metadata = MetaData()
numbers = Table("numbers", metadata, Column("number", Integer, primary_key=True))


def add(number: int) -> Callable[[Connection], int]:
    """Adds a number, and gives it back."""

    def work(connection: Connection) -> int:
        connection.execute(insert(numbers), {"number": number})
        return number

    return work


def all_numbers(connection: Connection) -> list[int]:
    """The numbers in order."""
    return list(connection.execute(select(numbers.c.number).order_by(numbers.c.number)).scalars())
