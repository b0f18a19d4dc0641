"""Databases: what a transaction did is there whole or not at all, and what goes away comes back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.util import await_only

from databases import NewUrl, postgres_server
from demo.v1.demo_mesh import DemoServiceClient
from demo.v1.demo_pb2 import EchoRequest, EchoResponse
from demoservice import Demo
from meshpact.clients import CallError
from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import Code
from meshpact.servers import Server
from meshpact.servers.storage.database import Database, StorageError, StorageUnavailable
from tlsworld import SERVER, channel, guard, identity
from toolkit.numbered import add, all_numbers, metadata, numbers

Open = Callable[[str], Awaitable[Database]]


class Broken(Exception):
    """The work failed."""


def add_and_fail(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(insert(numbers), {"number": number})
        raise Broken

    return work


@pytest.fixture
async def filled(database: Database) -> Database:
    await database.migrate(metadata.create_all)
    return database


async def test_what_work_wrote_is_read_and_what_it_gave_comes_back(filled: Database) -> None:
    assert await filled.write(add(3)) == 3
    assert await filled.read(all_numbers) == [3]


async def test_of_transactions_at_once_those_that_fail_are_undone_alone(filled: Database) -> None:
    works = [add_and_fail(n) if n % 3 == 0 else add(n) for n in range(60)]
    ends = await asyncio.gather(*map(filled.write, works), return_exceptions=True)
    assert [isinstance(end, Broken) for end in ends] == [n % 3 == 0 for n in range(60)]
    assert await filled.read(all_numbers) == [n for n in range(60) if n % 3]


async def test_a_statement_that_fails_undoes_its_transaction_only(filled: Database) -> None:
    def twice(connection: Connection) -> None:
        connection.execute(insert(numbers), [{"number": 100}, {"number": 1}])

    ends = await asyncio.gather(
        filled.write(add(1)), filled.write(twice), filled.write(add(2)), return_exceptions=True
    )
    assert [type(end).__name__ for end in ends] == ["int", "IntegrityError", "int"]
    assert await filled.read(all_numbers) == [1, 2]


async def test_a_commit_that_a_deferred_rule_refuses_undoes_its_transaction_only(
    database: Database,
) -> None:
    rules = MetaData()
    parents = Table("parents", rules, Column("id", Integer, primary_key=True))
    parent = ForeignKey("parents.id", deferrable=True, initially="DEFERRED")
    children = Table("children", rules, Column("parent", Integer, parent))
    await database.migrate(rules.create_all)

    def adopt(number: int, real: bool) -> Callable[[Connection], int]:
        def work(connection: Connection) -> int:
            connection.execute(insert(children), {"parent": number})
            if real:
                connection.execute(insert(parents), {"id": number})
            return number

        return work

    works = [adopt(number, real=number % 4 != 0) for number in range(12)]
    ends = await asyncio.gather(*map(database.write, works), return_exceptions=True)
    assert [type(end).__name__ for end in ends] == [
        "int" if number % 4 else "IntegrityError" for number in range(12)
    ]
    counted = select(func.count()).select_from(children)
    assert await database.read(lambda opened: opened.execute(counted).scalar()) == 9


async def test_a_nested_transaction_may_be_undone_within_the_work(filled: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(numbers), {"number": 1})
        nested = connection.begin_nested()
        connection.execute(insert(numbers), {"number": 2})
        nested.rollback()

    await asyncio.gather(filled.write(work), filled.write(add(3)))
    assert await filled.read(all_numbers) == [1, 3]


async def test_a_transaction_whose_caller_is_gone_ends_whole(filled: Database) -> None:
    writes = [asyncio.create_task(filled.write(add(number))) for number in range(20)]
    await asyncio.sleep(0)
    for write in writes:
        write.cancel()
    ends = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    await filled.write(add(99))
    while len(found := await filled.read(all_numbers)) < 21:
        pass  # on Postgres they end in any order
    assert found == [*range(20), 99]


async def test_closing_waits_for_what_runs(new_url: NewUrl) -> None:
    url = new_url()
    database = Database(url)
    await database.migrate(metadata.create_all)
    write = asyncio.create_task(database.write(add(1)))
    await asyncio.sleep(0)
    await database.close()
    assert await write == 1
    again = Database(url)
    assert await again.read(all_numbers) == [1]
    await again.close()


async def test_reading_sees_one_state_whatever_is_written_meanwhile(filled: Database) -> None:
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> tuple[list[int], list[int]]:
        before = all_numbers(connection)
        meanwhile = filled.write(add(7))
        if filled.sqlite:
            asyncio.run_coroutine_threadsafe(meanwhile, loop).result()
        else:
            await_only(meanwhile)
        return before, all_numbers(connection)

    await filled.write(add(1))
    assert await filled.read(work) == ([1], [1])
    assert await filled.read(all_numbers) == [1, 7]


async def test_two_that_count_up_at_once_lose_nothing(filled: Database, opened: Open) -> None:
    other = await opened(filled.url.render_as_string(hide_password=False))

    def count_up(connection: Connection) -> None:
        highest = connection.execute(select(func.max(numbers.c.number))).scalar() or 0
        connection.execute(insert(numbers), {"number": highest + 1})

    await asyncio.gather(*(each.write(count_up) for each in [filled, other] * 2))
    assert await filled.read(all_numbers) == [1, 2, 3, 4]


async def test_services_share_a_postgres_database_and_not_their_tables(postgres: NewUrl) -> None:
    url = postgres()
    first, second = Database(url, schema="store"), Database(url, schema="streaming-web")
    for database in (first, second):
        await database.migrate(metadata.create_all)
    await first.write(add(1))
    assert await second.read(all_numbers) == []
    assert await second.read(lambda opened: inspect(opened).get_table_names()) == ["numbers"]
    for database in (first, second):
        await database.close()


async def test_two_processes_make_a_schema_at_once(postgres: NewUrl) -> None:
    url = postgres()
    databases = [Database(url, schema="store") for _ in range(4)]

    def once(connection: Connection) -> None:
        metadata.create_all(connection)

    await asyncio.gather(*(each.migrate(once) for each in databases))
    await databases[0].write(add(1))
    assert await databases[3].read(all_numbers) == [1]
    for database in databases:
        await database.close()


async def test_a_database_file_belongs_to_its_owner_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    await database.migrate(metadata.create_all)
    await database.write(add(1))
    modes = [(tmp_path / f"shop.db{end}").stat().st_mode & 0o777 for end in ("", "-wal", "-shm")]
    assert modes == [0o600] * 3
    await database.close()


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(StorageError, match="SQLite in memory; name a file"):
        Database("sqlite://")


@pytest.mark.parametrize("schema", ["x" * 64, "a\0b"])
async def test_a_name_that_no_schema_can_have_is_refused(schema: str) -> None:
    with pytest.raises(StorageError, match="is no name of a schema"):
        Database("postgresql://localhost/shop", schema=schema)


def test_storage_without_its_extra_says_which_one_to_install() -> None:
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "try:\n    import meshpact.servers.storage.database\n"
        "except ImportError as error:\n    sys.exit(\"'meshpact[storage]'\" not in str(error))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_postgres_without_its_extra_says_which_one_to_install() -> None:
    program = (
        "import sys, asyncio; sys.modules['asyncpg'] = None\n"
        "from meshpact.servers.storage.database import Database, StorageError\n"
        "async def main():\n"
        "    try:\n        Database('postgresql://localhost/shop')\n"
        "    except StorageError as error:\n        return 'storage,postgres' not in str(error)\n"
        "sys.exit(asyncio.run(main()))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_a_file_that_goes_away_is_found_again_with_all_that_was_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    place.mkdir()
    database = Database(f"sqlite:///{place}/shop.db")
    await database.migrate(metadata.create_all)
    await database.write(add(1))
    place.rename(elsewhere)
    for attempt in (database.write(add(2)), database.read(all_numbers)):
        with pytest.raises(StorageUnavailable) as caught:
            await attempt
        assert str(tmp_path) not in caught.value.message
        assert str(place) in caught.value.detail
    elsewhere.rename(place)
    await database.write(add(3))
    assert await database.read(all_numbers) == [1, 3]
    said = [record.message for record in caplog.records if "available" in record.message]
    assert len(said) == 2
    await database.close()


async def test_a_file_that_was_restored_from_elsewhere_is_taken_up(tmp_path: Path) -> None:
    for name, number in (("shop", 1), ("backup", 2)):
        database = Database(f"sqlite:///{tmp_path}/{name}.db")
        await database.migrate(metadata.create_all)
        await database.write(add(number))
        await database.close()
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    assert await database.read(all_numbers) == [1]
    (tmp_path / "shop.db").unlink()
    with pytest.raises(StorageUnavailable):
        await database.write(add(7))
    assert not (tmp_path / "shop.db").exists()
    (tmp_path / "backup.db").rename(tmp_path / "shop.db")
    await database.write(add(3))
    assert await database.read(all_numbers) == [2, 3]
    await database.close()


async def test_a_file_that_is_damaged_is_unavailable_and_its_tables_are_not_touched(
    tmp_path: Path,
) -> None:
    (tmp_path / "shop.db").write_bytes(b"no database at all, but a text" * 100)
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    with pytest.raises(StorageUnavailable) as caught:
        await database.write(add(1))
    assert "not a database" in caught.value.detail
    await database.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A Postgres that a test may stop and start."""
    with postgres_server() as made:
        yield made


async def test_a_postgres_that_goes_away_is_found_again_with_all_that_was_in_it(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(server.get_uri())
    await database.migrate(metadata.create_all)
    await asyncio.gather(*(database.write(add(number)) for number in range(5)))
    await asyncio.to_thread(server._stop)
    for attempt in (database.write(add(7)), database.read(all_numbers)):
        with pytest.raises(StorageUnavailable) as caught:
            await attempt
        assert caught.value.retry_after
        assert "password" not in caught.value.detail
    await asyncio.to_thread(server.ensure_postgres_running)
    assert await asyncio.gather(*(database.write(add(n)) for n in range(10, 20))) == [
        *range(10, 20)
    ]
    assert await database.read(all_numbers) == [*range(5), *range(10, 20)]
    said = [record.message for record in caplog.records if "available" in record.message]
    assert len(said) == 2
    await database.close()


async def test_connections_that_were_cut_are_made_again_unseen(server: Any) -> None:
    database = Database(server.get_uri(), schema="cut")
    await database.migrate(metadata.create_all)
    await asyncio.gather(*(database.write(add(number)) for number in range(8)))
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> 'psql'"
    for round_ in range(2):
        await asyncio.to_thread(server.psql, f"{cut} AND pid <> pg_backend_pid();")
        await database.write(add(100 + round_))
        await asyncio.to_thread(server.psql, f"{cut} AND pid <> pg_backend_pid();")
        assert len(await database.read(all_numbers)) == 9 + round_
    await database.close()


class Stored(Demo):
    """A service whose calls read a database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def echo(self, request: EchoRequest, call: Call, /) -> EchoResponse:
        found = await self._database.read(lambda opened: opened.execute(sql("SELECT 1")).scalar())
        return EchoResponse(text=str(found))


async def test_callers_are_told_that_the_database_is_away_and_when_to_ask_again(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    await database.migrate(metadata.create_all)
    server = Server(identity=identity(SERVER), guard=guard(), address="127.0.0.1:0")
    server.add(Stored(database))
    await server.start()
    try:
        async with channel(server.address) as to:
            client = DemoServiceClient(to)
            assert (await client.echo(EchoRequest(text="x"))).text == "1"
            (tmp_path / "shop.db").rename(tmp_path / "away.db")
            with pytest.raises(CallError) as caught:
                await client.echo(EchoRequest(text="x"))
            error = caught.value
            assert (error.code, error.reason) == (Code.UNAVAILABLE, "STORAGE_UNAVAILABLE")
            assert (error.domain, error.retry_after) == ("meshpact", 1.0)
            assert error.message == "The service's database cannot be reached; try again."
            (tmp_path / "away.db").rename(tmp_path / "shop.db")
            assert (await client.echo(EchoRequest(text="x"))).text == "1"
    finally:
        await server.stop()
        await database.close()
