"""The model: trained beside the service, saved whole, read only when it is what it should be."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import zipfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import (
    RecommendationServiceClient,
    SourcesUnavailable,
)
from reference.streaming.recommendations.keeper import LOOK
from reference.streaming.recommendations.model import Arrays, ModelError, load, save
from reference.streaming.recommendations.training import train
from streamingmesh import (
    ADULTS,
    Streaming,
    catalog_titles,
    catalog_version,
    event,
    opening,
    session,
    trained_model,
)

Spoil = Callable[[Path], None]
EXPORT = "acme.streaming.catalog.v1.CatalogService/ExportTitles"


def title(number: int, *genres: str, name: str = "", age: int = 0) -> catalog_pb2.Title:
    return catalog_pb2.Title(
        title_id=f"s{number}", display_name=name or f"name {number}", genres=genres, minimum_age=age
    )


def small() -> Arrays:
    """The model of four titles, the second and the fourth of which are alike."""
    return train(
        [title(1, "a"), title(2, "b", "c"), title(3, "d", age=17), title(4, "b", "c")], {"s3": 9}
    )


def test_titles_with_the_same_genres_are_most_alike() -> None:
    made = small()
    assert made.ids[made.alike[1][0]] == "s4"
    assert made.how[1][0] > made.how[1][1]
    assert 1 not in made.alike[1].tolist()
    assert made.ids[made.popular[0]] == "s3"
    assert made.ages.tolist() == [0, 0, 17, 0]


def test_a_model_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    version = save(folder, 7, "catalog-1", 9, small())
    model = load(folder)
    assert model is not None
    assert (model.version, model.number, model.catalog, model.popularity) == (
        version,
        7,
        "catalog-1",
        9,
    )
    assert model.ids == ["s1", "s2", "s3", "s4"]
    assert model.like(1)[0][0] == 3
    for path in [folder, *folder.iterdir()]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077


def test_the_model_before_the_current_one_is_kept_and_older_ones_go(tmp_path: Path) -> None:
    versions = [save(tmp_path / "m", number, "c", 0, small()) for number in (1, 2, 3)]
    left = {path.stem.removeprefix("model-") for path in (tmp_path / "m").glob("*.npz")}
    assert left == set(versions[1:])


@pytest.mark.parametrize("said", ["garbage", "[]", '{"version": "../../x", "sha256": ""}'])
def test_a_spoilt_name_of_the_current_model_is_replaced_by_the_next_model(
    tmp_path: Path, said: str
) -> None:
    save(tmp_path, 1, "c", 0, small())
    (tmp_path / "current.json").write_text(said)
    with pytest.raises(ModelError):
        load(tmp_path)
    version = save(tmp_path, 2, "c", 0, small())
    found = load(tmp_path)
    assert found is not None and found.version == version
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_what_a_killed_training_left_half_written_goes(tmp_path: Path) -> None:
    left, underway = tmp_path / ".model-1-a.npz.0.tmp", tmp_path / ".model-2-b.npz.0.tmp"
    for path in (left, underway):
        path.write_bytes(b"half")
    os.utime(left, (0, 0))
    save(tmp_path, 3, "c", 0, small())
    assert not left.exists() and underway.exists()


def test_there_may_be_no_model(tmp_path: Path) -> None:
    assert load(tmp_path / "nothing") is None


class Boom:
    """What a pickle may do when it is read."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("/tmp/meshpact-was-unpickled",)


def rewritten(folder: Path, **arrays: Any) -> None:
    """A model with other arrays and a pointer that names it rightly."""
    facts = {"form": 1, "catalog": "c", "popularity": 0}
    whole = {"facts": np.array(json.dumps(facts))} | small()._asdict() | arrays
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as file:
        for name, array in whole.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=True)
    point_at(folder, into.getvalue())


def point_at(folder: Path, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    version = f"1-{digest[:12]}"
    folder.mkdir(exist_ok=True)
    (folder / f"model-{version}.npz").write_bytes(data)
    (folder / "current.json").write_text(json.dumps({"version": version, "sha256": digest}))


def flipped(folder: Path) -> None:
    save(folder, 1, "c", 0, small())
    [path] = folder.glob("*.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def gone(folder: Path) -> None:
    save(folder, 1, "c", 0, small())
    next(folder.glob("*.npz")).unlink()


def pointed(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "current.json").write_text(text)


SPOILT: list[tuple[Spoil, str]] = [
    (flipped, "SHA-256 differs"),
    (gone, "cannot be read: No such file"),
    (partial(pointed, text="{"), "no JSON with version and sha256"),
    (partial(pointed, text="[]"), "no JSON with version and sha256"),
    (partial(pointed, text='{"version": "../../x", "sha256": ""}'), "is no version of a model"),
    (partial(point_at, data=b"no npz"), "is no model"),
    (partial(point_at, data=pickle.dumps(Boom())), "is no model"),
    (partial(rewritten, ids=np.array([Boom()] * 4, dtype=object)), "is no model"),
    (partial(rewritten, ids=np.array(["s1"] * 4)), "each once"),
    (partial(rewritten, ids=np.array(["s1", "s2", "s3", "../x"])), "each once"),
    (partial(rewritten, ages=np.zeros(3, np.int32)), "ages has the shape"),
    (partial(rewritten, ages=np.zeros(4, np.float64)), "ages holds float64"),
    (partial(rewritten, alike=np.full((4, 3), 4, np.int32)), "rows that are not there"),
    (partial(rewritten, how=np.full((4, 3), np.nan, np.float32)), "how is not from 0 to 1"),
    (partial(rewritten, popular=np.zeros(4, np.int32)), "popular does not name each row once"),
    (partial(rewritten, facts=np.array('{"form": 99}')), "the form 99; this program reads 1"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_a_file_that_is_no_model_is_refused_with_what_is_wrong(
    tmp_path: Path, spoil: Spoil, words: str
) -> None:
    spoil(tmp_path / "models")
    with pytest.raises(ModelError, match=words):
        load(tmp_path / "models")
    assert not Path("/tmp/meshpact-was-unpickled").exists()


class Watcher:
    """Somebody who asks for recommendations."""

    def __init__(self, streaming: Streaming) -> None:
        self._client = streaming.mesh.client(RecommendationServiceClient, as_="streaming-web")
        self._profile = streaming.profiles.add("watcher", ADULTS)
        self._token = streaming.token("watcher")

    async def listed(self) -> pb.ListRecommendationsResponse:
        request = pb.ListRecommendationsRequest(profile_id=self._profile, page_size=5)
        return await self._client.list_recommendations(request, token=self._token)

    async def finish(self, *title_ids: str) -> None:
        events = [event(each, finished=pb.PlaybackFinished()) for each in title_ids]
        messages = session(opening(self._profile), *events)
        async for _ in self._client.watch(messages, token=self._token):
            pass


async def until_model(watcher: Watcher, number: int) -> None:
    """Asks for recommendations until the model of that number makes them."""
    async with asyncio.timeout(100):
        async for version in versions(watcher):
            if version.startswith(f"{number}-"):
                return


async def versions(watcher: Watcher) -> AsyncIterator[str]:
    """The version of the model that recommends, again and again."""
    while True:
        yield (await watcher.listed()).model_version
        await asyncio.sleep(0.05)


async def test_a_model_is_trained_beside_the_calls_and_then_serves(tmp_path: Path) -> None:
    async with Streaming(tmp_path, trained=False) as streaming:
        watcher = Watcher(streaming)
        first = await watcher.listed()
        assert first.model_version == ""
        assert [each.basis for each in first.recommendations] == [
            pb.RECOMMENDATION_BASIS_POPULAR
        ] * 5
        await watcher.finish("s5")
        [*_, like] = (await watcher.listed()).recommendations
        assert (like.basis, like.because_title_id) == (pb.RECOMMENDATION_BASIS_SIMILAR, "s5")

        await until_model(watcher, 1)
        saved = load(streaming.state / "models" / "recommendations")
        assert saved is not None
        assert (len(saved.ids), saved.catalog) == (len(catalog_titles()), catalog_version())


async def test_a_spoilt_model_is_replaced_and_a_good_one_serves_at_once(tmp_path: Path) -> None:
    async with Streaming(tmp_path) as streaming:
        watcher = Watcher(streaming)
        assert (await watcher.listed()).model_version.startswith("1-")
        folder = streaming.state / "models" / "recommendations"
        await streaming.mesh.stop("recommendations")
        (folder / "current.json").write_text("{")
        held = streaming.mesh.faults.hold(EXPORT)
        await streaming.mesh.start("recommendations")
        await held.arrived.wait()
        assert (await watcher.listed()).model_version == ""
        await streaming.mesh.stop("recommendations")
        shutil.copytree(trained_model(), folder, dirs_exist_ok=True)
        await streaming.mesh.start("recommendations")
        assert (await watcher.listed()).model_version.startswith("1-")


async def test_without_a_model_and_a_catalog_the_caller_is_told_which_is_missing(
    tmp_path: Path,
) -> None:
    async with Streaming(tmp_path, trained=False) as streaming:
        watcher = Watcher(streaming)
        await streaming.mesh.stop("catalog")
        with pytest.raises(SourcesUnavailable) as refused:
            await watcher.listed()
        assert refused.value.message == "The catalog cannot be asked now; call again."


async def test_much_that_was_watched_makes_another_model_due(tmp_path: Path) -> None:
    async with Streaming(tmp_path) as streaming:
        watcher = Watcher(streaming)
        watched = [each.title_id for each in catalog_titles()[:60]]
        await watcher.finish(*watched)

        streaming.mesh.clock.advance(LOOK + 1)
        await until_model(watcher, 2)
        model = load(streaming.state / "models" / "recommendations")
        assert model is not None
        assert {model.ids[row] for row in model.popular[:60]} == set(watched)
