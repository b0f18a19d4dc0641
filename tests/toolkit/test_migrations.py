"""The schema of a database at start: the page's own migration, and folders that are none."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, inspect

from meshpact.servers.storage.database import Database, StorageError
from meshpact.servers.storage.migrate import migrate
from toolkit.pages import program

PAGE = program("store-data", 1)


async def test_the_migration_on_the_page_makes_the_table_of_the_page(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "0001_stock.py").write_text(PAGE)
    for _ in range(2):
        await migrate(database, tmp_path)
    page: dict[str, Any] = {}
    exec(compile(program("store-data", 0), "store-data.md", "exec"), page)
    stock = page["stock"]
    await database.write(lambda opened: opened.execute(insert(stock), {"sku": "A", "on_hand": 1}))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no migrations: write the first one, 0001_NAME.py"),
        ({"0001_stock.py": "x = 1\n"}, "cannot be applied: .*revision"),
        (
            {"0001_stock.py": PAGE.replace('"0001"', '"a1b2c3"')},
            "end at revision 'a1b2c3', their files at 0001: let `revision` be what the file's name",
        ),
        (
            {
                "0001_stock.py": PAGE,
                "0002_more.py": 'revision = "0002"\ndown_revision = None\n',
            },
            "cannot be applied: Multiple head",
        ),
    ],
)
async def test_a_folder_that_cannot_be_applied_is_explained_and_changes_nothing(
    database: Database, tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(StorageError, match=words):
        await migrate(database, tmp_path)

    def tables(connection: Connection) -> list[str]:
        return inspect(connection).get_table_names()

    assert await database.read(tables) == []


async def test_a_folder_that_is_not_there_is_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere has no migrations"):
        await migrate(database, tmp_path / "nowhere")
