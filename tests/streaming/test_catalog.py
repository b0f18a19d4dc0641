"""The catalog: what is found, counted and shown, to those who are old enough."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acme.identity.v1 import identity_pb2
from acme.streaming.catalog.v1 import catalog_pb2 as pb
from acme.streaming.catalog.v1.catalog_mesh import (
    CatalogServiceClient,
    TitleAboveRating,
    TitleUnknown,
)
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.streaming.words import words
from streamingmesh import ADULTS, KIDS, READ, TEENS, Streaming, catalog_titles, catalog_version

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGES = {KIDS: 6, TEENS: 16, ADULTS: 18}


class Viewer:
    """Somebody who looks at the catalog through the page."""

    def __init__(
        self, streaming: Streaming, user: str, limit: identity_pb2.MaturityLimit.ValueType
    ) -> None:
        self.client = streaming.mesh.client(CatalogServiceClient, as_="streaming-web")
        self.profile = streaming.profiles.add(user, limit)
        self.token = streaming.token(user, READ)
        self.age = AGES[limit]

    async def search(self, **asked: Any) -> pb.SearchTitlesResponse:
        request = pb.SearchTitlesRequest(profile_id=self.profile, **asked)
        return await self.client.search_titles(request, token=self.token)

    async def everything(self, **asked: Any) -> list[pb.Title]:
        found: list[pb.Title] = []
        token = ""
        while True:
            page = await self.search(page_token=token, page_size=100, **asked)
            found += page.titles
            token = page.next_page_token
            if not token:
                return found

    async def facets(self, **asked: Any) -> pb.GetFacetsResponse:
        request = pb.GetFacetsRequest(profile_id=self.profile, **asked)
        return await self.client.get_facets(request, token=self.token)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adult(streaming: Streaming) -> Viewer:
    return Viewer(streaming, "viewer-1", ADULTS)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def rested(streaming: Streaming) -> None:
    """Lets the time pass that a viewer's rate needs to be whole again."""
    streaming.mesh.clock.advance(3)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kid(streaming: Streaming) -> Viewer:
    return Viewer(streaming, "viewer-1", KIDS)


async def test_without_a_query_all_titles_come_the_newest_first(adult: Viewer) -> None:
    found = await adult.everything()
    assert len(found) == len({title.title_id for title in found}) == len(catalog_titles()) == 8807
    days = [(each.add_date.year, each.add_date.month, each.add_date.day) for each in found]
    assert days == sorted(days, reverse=True)


async def test_the_order_asked_for_is_the_order_given(adult: Viewer) -> None:
    chosen = pb.TitleFilter(genres=["Anime Features"])
    years = [
        each.release_year
        for each in await adult.everything(filter=chosen, order_by="release_year desc")
    ]
    assert len(years) == 71
    assert years == sorted(years, reverse=True)
    names = [each.display_name for each in await adult.everything(filter=chosen, order_by="title")]
    assert [words(name) for name in names] == sorted(map(words, names))


async def test_a_search_finds_words_of_names_and_people_whatever_their_accents(
    adult: Viewer,
) -> None:
    assert [each.display_name for each in (await adult.search(query="POKEMON: indigo")).titles] == [
        "Pokémon: Indigo League"
    ]
    found = await adult.everything(query="dicaprio")
    assert {"Leonardo DiCaprio"} <= {actor for each in found for actor in each.actors}
    assert all("dicaprio" in words(*each.actors, *each.directors) for each in found)


async def test_names_that_have_the_words_come_before_people_who_have_them(adult: Viewer) -> None:
    found = await adult.everything(query="leonard")
    hits = ["leonard" in " ".join(words(each.display_name)) for each in found]
    assert hits[0] and not hits[-1]
    assert hits == sorted(hits, reverse=True)


async def test_the_last_word_of_a_query_may_be_a_beginning(adult: Viewer) -> None:
    async def names(query: str) -> set[str]:
        return {each.display_name for each in await adult.everything(query=query)}

    assert "Stranger Things" in await names("stranger th")
    assert "Stranger Things" not in await names("strang things")


@pytest.mark.parametrize(
    "query",
    [
        *("!!!", '" OR title:', "NEAR(a b)", "'; DROP TABLE titles; --", "& | ! <->", "a:* b"),
        *("\u3300" * 200, "\ufdfa" * 200, "\U0001f600 \u202e"),
    ],
)
async def test_what_means_something_to_a_database_is_just_text(adult: Viewer, query: str) -> None:
    asked = words(query)
    for each in await adult.everything(query=query):
        there = words(each.display_name, *each.actors, *each.directors)
        assert all(any(word.startswith(part) for word in there) for part in asked)


async def test_words_with_a_character_that_no_text_has_are_refused(adult: Viewer) -> None:
    with pytest.raises(CallError) as refused:
        await adult.everything(query="narcos\0")
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "field 'query' must not contain a zero character" in refused.value.message


@pytest.mark.parametrize("field", ["genres", "ratings", "countries"])
async def test_a_filter_with_a_character_that_no_text_has_is_refused(
    adult: Viewer, field: str
) -> None:
    chosen = pb.TitleFilter(**{field: ["TV\0"]})  # type: ignore[arg-type]
    with pytest.raises(CallError) as refused:
        await adult.search(filter=chosen)
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert f"field 'filter.{field}[0]'" in refused.value.message


async def test_filters_take_any_value_of_a_field_and_all_fields(adult: Viewer) -> None:
    chosen = pb.TitleFilter(
        types=[pb.TITLE_TYPE_MOVIE],
        genres=["Horror Movies", "Sci-Fi & Fantasy"],
        ratings=["PG-13", "R"],
        decades=[1990, 2000],
        countries=["Japan", "United States"],
    )
    expected = {
        each.title_id
        for each in catalog_titles()
        if each.type == pb.TITLE_TYPE_MOVIE
        and {"Horror Movies", "Sci-Fi & Fantasy"} & set(each.genres)
        and each.rating in ("PG-13", "R")
        and each.release_year // 10 * 10 in (1990, 2000)
        and {"Japan", "United States"} & set(each.countries)
    }
    assert {each.title_id for each in await adult.everything(filter=chosen)} == expected
    assert expected


async def test_facets_count_what_another_choice_would_give(adult: Viewer) -> None:
    chosen = pb.TitleFilter(genres=["Anime Series"], decades=[2010])
    counted = await adult.facets(filter=chosen)
    assert counted.total == len(await adult.everything(filter=chosen))
    for decade in counted.decades[:2]:
        other = pb.TitleFilter(genres=["Anime Series"], decades=[int(decade.value)])
        assert decade.count == len(await adult.everything(filter=other))
    for genre in counted.genres[:2]:
        other = pb.TitleFilter(genres=[genre.value], decades=[2010])
        assert genre.count == len(await adult.everything(filter=other))
    assert {each.value for each in counted.types} == {"TITLE_TYPE_SERIES"}
    assert [each.count for each in counted.countries] == sorted(
        (each.count for each in counted.countries), reverse=True
    )


async def test_nothing_above_the_profiles_age_is_found_counted_or_sent(
    kid: Viewer, adult: Viewer
) -> None:
    found = await kid.everything()
    assert found and {each.minimum_age for each in found} == {0}
    assert {each.rating for each in found} == {"G", "TV-G", "TV-Y"}
    assert (await kid.facets()).total == len(found)
    above = next(each for each in catalog_titles() if each.rating == "R")
    unrated = next(each for each in catalog_titles() if not each.rating)
    assert (above.minimum_age, unrated.minimum_age) == (17, 18)
    request = pb.BatchGetTitlesRequest(
        profile_id=kid.profile, title_ids=[above.title_id, found[0].title_id, "s999999"]
    )
    answer = await kid.client.batch_get_titles(request, token=kid.token)
    assert [each.title_id for each in answer.titles] == [found[0].title_id]
    assert not (
        await kid.everything(query=above.display_name, filter=pb.TitleFilter(ratings=["R"]))
    )


async def test_a_title_above_the_age_is_refused_with_both_ages(kid: Viewer) -> None:
    above = next(each for each in catalog_titles() if each.rating == "TV-MA")
    with pytest.raises(TitleAboveRating) as refused:
        await kid.client.get_title(
            pb.GetTitleRequest(profile_id=kid.profile, title_id=above.title_id), token=kid.token
        )
    error = refused.value
    assert (error.code, error.reason) == (Code.PERMISSION_DENIED, "TITLE_ABOVE_RATING")
    assert error.message == (
        f"The title {above.title_id} is for ages 17 and up; the profile {kid.profile} "
        "is for ages up to 6."
    )


async def test_a_title_is_shown_as_the_file_has_it(adult: Viewer) -> None:
    answer = await adult.client.get_title(
        pb.GetTitleRequest(profile_id=adult.profile, title_id="s5"), token=adult.token
    )
    assert answer.title == next(each for each in catalog_titles() if each.title_id == "s5")
    assert (answer.title.display_name, answer.title.seasons) == ("Kota Factory", 2)
    with pytest.raises(TitleUnknown) as refused:
        await adult.client.get_title(
            pb.GetTitleRequest(profile_id=adult.profile, title_id="s99999"), token=adult.token
        )
    assert (refused.value.code, refused.value.message) == (
        Code.NOT_FOUND,
        "There is no title s99999.",
    )


async def test_several_titles_come_in_the_order_asked_for(adult: Viewer) -> None:
    request = pb.BatchGetTitlesRequest(
        profile_id=adult.profile, title_ids=["s77", "s5", "s99999", "s5", "s1"]
    )
    answer = await adult.client.batch_get_titles(request, token=adult.token)
    assert [each.title_id for each in answer.titles] == ["s77", "s5", "s1"]


async def test_the_whole_catalog_goes_to_who_computes_on_it(streaming: Streaming) -> None:
    client = streaming.mesh.client(CatalogServiceClient, as_="recommendations")
    sent = [part async for part in client.export_titles(pb.ExportTitlesRequest())]
    assert {part.catalog_version for part in sent} == {catalog_version()}
    titles = {title.title_id: title for part in sent for title in part.titles}
    assert titles == {each.title_id: each for each in catalog_titles()}
    known = pb.ExportTitlesRequest(known_version=catalog_version())
    assert [part async for part in client.export_titles(known)] == []


@given(
    sizes=st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=6),
    query=st.sampled_from(["", "love", "the", "a"]),
    order=st.sampled_from(["", "title", "release_year desc", "add_date desc"]),
    genre=st.sampled_from(["Anime Features", "Cult Movies", "TV Horror"]),
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_pages_of_any_size_lose_and_repeat_nothing(
    adult: Viewer, sizes: list[int], query: str, order: str, genre: str
) -> None:
    asked = {"query": query, "order_by": order, "filter": pb.TitleFilter(genres=[genre])}
    whole = [each.title_id for each in await adult.everything(**asked)]
    seen: list[str] = []
    token, turn = "", 0
    while True:
        size = sizes[turn % len(sizes)]
        page = await adult.search(page_size=size, page_token=token, **asked)
        seen += [each.title_id for each in page.titles]
        token, turn = page.next_page_token, turn + 1
        assert len(page.titles) == size or not token
        if not token:
            break
    assert seen == whole
    assert len(set(whole)) == len(whole)


async def test_a_page_token_is_good_for_its_search_and_its_caller_only(
    streaming: Streaming, adult: Viewer
) -> None:
    token = (await adult.search(query="love")).next_page_token
    with pytest.raises(CallError) as refused:
        await adult.search(query="hate", page_token=token)
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [fault.field for fault in refused.value.fields] == ["query"]
    other = Viewer(streaming, "viewer-2", ADULTS)
    with pytest.raises(CallError) as refused:
        await other.search(query="love", page_token=token)
    assert refused.value.reason == "INVALID_REQUEST"
    assert "page_token" in [fault.field for fault in refused.value.fields]
