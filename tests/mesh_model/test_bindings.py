"""Hot reload of role bindings: changes take hold, bad files do not, nobody waits."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from meshpact.mesh.bindings import BUDGET, Reloader, RoleBindings
from meshpact.mesh.bindingsfile import SLICE
from meshpact.mesh.config import MeshConfig, load
from meshpact.mesh.problems import MeshFileError

NOBODY: frozenset[str] = frozenset()
ISSUER = "https://issuer.example"
HEAD = (
    "trust_domain: acme.example\n"
    f"issuers: [{{issuer: '{ISSUER}', file: keys.json, audiences: [shop]}}]\n"
)


class Files:
    """A mesh.yaml and its bindings_file."""

    def __init__(self, root: Path) -> None:
        self.mesh = root / "mesh.yaml"
        self.lines = root / "bindings.jsonl"
        self.refused: list[MeshFileError] = []
        self.loaded: list[RoleBindings] = []
        self.yaml("users: [alice]")

    def yaml(self, role: str, *, lines: bool = False) -> None:
        more = "bindings_file: bindings.jsonl\n" if lines else ""
        self._replace(self.mesh, f"{HEAD}{more}roles: {{reader: {{{role}}}}}\n")

    def json(self, *users: str) -> None:
        self._replace(
            self.lines, "".join(f'{{"role": "reader", "user": "{user}"}}\n' for user in users)
        )

    def reloader(self, interval: float = 0.01, budget: float = BUDGET) -> Reloader:
        return Reloader(
            self.mesh,
            refused=self.refused.append,
            loaded=self.loaded.append,
            interval=interval,
            budget=budget,
        )

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        aside = path.with_suffix(".tmp")
        aside.write_text(text)
        aside.replace(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def holds(reloader: Reloader, user: str) -> bool:
    return bool(reloader.current.roles_of_user(ISSUER, user, NOBODY))


async def test_a_changed_mesh_yaml_takes_hold(files: Files) -> None:
    reloader = files.reloader()
    before = reloader.current
    assert not reloader.changed()
    files.yaml("users: [bob]")
    assert reloader.changed()
    assert await reloader.reload()
    assert holds(reloader, "bob")
    assert not holds(reloader, "alice")
    assert before.roles_of_user(ISSUER, "alice", NOBODY), (
        "who holds the old bindings keeps them whole"
    )
    assert files.loaded == [reloader.current]
    assert not reloader.changed()


def test_a_changed_mesh_yaml_takes_hold_on_threads(files: Files) -> None:
    reloader = files.reloader()
    files.yaml("users: [bob]")
    assert reloader.reload_sync()
    assert holds(reloader, "bob")


async def test_a_changed_bindings_file_takes_hold(files: Files) -> None:
    files.json("bob")
    files.yaml("users: [alice]", lines=True)
    reloader = files.reloader()
    assert holds(reloader, "bob")
    files.json("carol")
    assert reloader.changed()
    assert await reloader.reload()
    assert not holds(reloader, "bob")
    assert holds(reloader, "carol")
    assert holds(reloader, "alice")


async def test_a_bindings_file_may_come_and_go(files: Files) -> None:
    reloader = files.reloader()
    files.json("bob")
    files.yaml("users: []", lines=True)
    assert await reloader.reload()
    assert holds(reloader, "bob")
    files.yaml("users: []")
    assert await reloader.reload()
    assert not holds(reloader, "bob")
    files.json("carol")
    assert not reloader.changed()


async def test_old_bindings_are_let_go_in_slices_unless_somebody_holds_them(files: Files) -> None:
    files.json(*(f"user-{number}" for number in range(3_000)))
    files.yaml("users: []", lines=True)
    reloader = files.reloader(budget=0.0)

    async def turns_of_reload() -> int:
        """Turns of the loop from when the new bindings are in place until the reload is done."""
        turns = 0
        version = reloader.current.version
        reading = asyncio.create_task(reloader.reload())
        while not reading.done():
            turns += reloader.current.version is not version
            await asyncio.sleep(0)
        assert await reading
        return turns

    files.json("bob")
    alone = await turns_of_reload()
    files.json(*(f"user-{number}" for number in range(3_000)))
    await reloader.reload()
    held = reloader.current
    files.json("carol")
    kept = await turns_of_reload()
    assert alone > kept, "nobody held the first: it took turns to let it go"
    assert held.roles_of_user(ISSUER, "user-2999", NOBODY), "who holds the old has it whole"


@pytest.mark.parametrize("on_loop", [True, False])
async def test_a_bad_file_is_refused_and_the_old_bindings_stay(files: Files, on_loop: bool) -> None:
    reloader = files.reloader()
    before = reloader.current
    files.yaml("users: [bob], mode: watch")
    assert not (await reloader.reload() if on_loop else reloader.reload_sync())
    assert reloader.current is before
    assert not reloader.changed(), "a refused state is not read again and again"
    (refusal,) = files.refused
    assert "mesh.yaml:3: roles.reader.mode: found 'watch'" in str(refusal)
    files.yaml("users: [bob]")
    assert reloader.changed()
    assert await reloader.reload()
    assert holds(reloader, "bob")


async def test_a_bad_bindings_file_is_refused_and_mended_by_itself(files: Files) -> None:
    files.json("bob")
    files.yaml("users: [alice]", lines=True)
    reloader = files.reloader()
    files.lines.write_text('{"role": "raeder", "user": "bob"}\n')
    assert not await reloader.reload()
    assert "bindings.jsonl:1: unknown role 'raeder'" in str(files.refused[0])
    assert holds(reloader, "bob")
    assert not reloader.changed()
    files.json("carol")
    assert reloader.changed()
    assert await reloader.reload()
    assert holds(reloader, "carol")


async def test_a_file_that_is_mended_while_it_is_being_refused_is_read_again(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloader = files.reloader()
    files.yaml("users: no")

    def read_then_mend(path: Path) -> MeshConfig:
        try:
            return load(path)
        finally:
            files.yaml("users: [bob]")

    with monkeypatch.context() as patch:
        patch.setattr("meshpact.mesh.bindings.load", read_then_mend)
        assert not await reloader.reload()
    assert files.refused
    assert reloader.changed()
    assert await reloader.reload()
    assert holds(reloader, "bob")


async def test_a_missing_file_is_refused_until_it_is_back(files: Files) -> None:
    reloader = files.reloader()
    files.mesh.unlink()
    assert not await reloader.reload()
    assert holds(reloader, "alice")
    assert not reloader.changed()
    files.yaml("users: [bob]")
    assert reloader.changed()


def test_a_bad_file_at_the_start_is_an_error(files: Files) -> None:
    files.yaml("users: no")
    with pytest.raises(MeshFileError, match=r"roles\.reader\.users"):
        files.reloader()


async def test_the_loop_gets_its_turn_while_a_large_file_is_read(files: Files) -> None:
    files.json("bob")
    files.yaml("users: []", lines=True)
    reloader = files.reloader(budget=0.0)
    files.json(*(f"user-{number}" for number in range(20_000)))
    turns = 0
    reading = asyncio.create_task(reloader.reload())
    while not reading.done():
        turns += 1
        await asyncio.sleep(0)
    assert await reading
    assert turns >= 20_000 / SLICE
    assert holds(reloader, "user-19999")


async def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_look(
    files: Files,
) -> None:
    files.json("bob")
    files.yaml("users: []", lines=True)
    reloader = files.reloader()
    files.json(*(f"user-{number}" for number in range(2_000)))
    reading = asyncio.create_task(reloader.reload())
    await asyncio.sleep(0)
    files.json("carol", "dave")
    if not await reading:
        assert holds(reloader, "bob")
    assert reloader.changed() or holds(reloader, "carol")
    while reloader.changed():
        await reloader.reload()
    assert holds(reloader, "carol")
    assert not holds(reloader, "bob")


async def test_of_two_readings_the_one_that_began_later_counts(files: Files) -> None:
    reloader = files.reloader()
    files.yaml("users: [bob]")
    results = await asyncio.gather(*(reloader.reload() for _ in range(5)))
    assert any(results)
    assert holds(reloader, "bob")


async def test_watching_on_a_loop_follows_the_file(files: Files) -> None:
    swapped = asyncio.Event()
    reloader = Reloader(
        files.mesh,
        interval=0.01,
        loaded=lambda _: swapped.set(),
        refused=files.refused.append,
    )
    watching = asyncio.create_task(reloader.watch())
    files.yaml("users: [bob]")
    async with asyncio.timeout(30):
        await swapped.wait()
    assert holds(reloader, "bob")
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


def test_watching_from_a_thread_follows_the_file_and_ends(files: Files) -> None:
    swapped = threading.Event()
    reloader = Reloader(files.mesh, interval=0.01, loaded=lambda _: swapped.set())
    stop = reloader.watch_thread()
    files.yaml("users: [bob]")
    assert swapped.wait(30)
    assert holds(reloader, "bob")
    stop()
    assert "meshpact-bindings" not in {thread.name for thread in threading.enumerate()}


async def test_a_callback_that_fails_does_not_end_the_watch(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    failed, swapped = asyncio.Event(), asyncio.Event()

    def loaded(_: RoleBindings) -> None:
        if failed.is_set():
            swapped.set()
        else:
            failed.set()
            raise RuntimeError("callback")

    reloader = Reloader(files.mesh, interval=0.01, loaded=loaded)
    watching = asyncio.create_task(reloader.watch())
    async with asyncio.timeout(30):
        files.yaml("users: [bob]")
        await failed.wait()
        files.yaml("users: [carol, dave]")
        await swapped.wait()
    watching.cancel()
    assert "trying again" in caplog.text


async def test_a_change_that_needs_a_restart_is_said_aloud(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    reloader = files.reloader()
    files.yaml("users: [bob]")
    assert await reloader.reload()
    assert not caplog.text
    with files.mesh.open("a") as file:
        file.write("limits: {drain: 3s}\n")
    assert await reloader.reload()
    assert "limits changed: restart to apply" in caplog.text


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "trust_domain: demo.example",
            "trust_domain: other.example",
            "mesh.yaml:1: trust_domain: found other.example; allowed: demo.example while the mesh "
            "runs. Put it back, or restart the mesh: until then the old bindings hold",
        ),
        (
            "clerk: {}",
            "clerk: {id: spiffe://demo.example/moved}",
            "mesh.yaml:3: services.clerk: found spiffe://demo.example/moved; allowed: "
            "spiffe://demo.example/clerk while the mesh runs.",
        ),
        (
            "issuer: https://a.example",
            "issuer: https://b.example",
            "mesh.yaml:6: issuers: the issuer https://a.example is gone; allowed: to keep it "
            "while the mesh runs.",
        ),
    ],
    ids=["trust-domain", "service-id", "issuer"],
)
async def test_names_that_bindings_speak_of_stay_while_a_mesh_runs(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    path = tmp_path / "mesh.yaml"
    text = (
        "trust_domain: demo.example\nservices:\n  clerk: {}\n"
        "roles:\n  reader: {workloads: [clerk], users: [alice]}\n"
        "issuers: [{issuer: https://a.example, file: keys.json, audiences: [demo]}]\n"
    )
    path.write_text(text)
    refused: list[MeshFileError] = []
    reloader = Reloader(path, refused=refused.append)
    path.write_text(text.replace(before, after))
    assert not await reloader.reload()
    assert said in str(refused[0])
    assert reloader.current.roles_of_workload("spiffe://demo.example/clerk") == {"reader"}
    assert reloader.current.roles_of_user("https://a.example", "alice", frozenset()) == {"reader"}
    path.write_text(text.replace("clerk: {}", "clerk: {}\n  late: {}").replace("[clerk]", "[late]"))
    assert await reloader.reload()
    assert reloader.current.roles_of_workload("spiffe://demo.example/late") == {"reader"}


def test_a_write_in_place_of_the_same_length_is_seen(files: Files) -> None:
    reloader = files.reloader()
    text = files.mesh.read_text().replace("alice", "carol")
    status = files.mesh.stat()
    files.mesh.write_text(text)
    os.utime(files.mesh, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert reloader.changed()
