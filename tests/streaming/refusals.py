"""Who must be refused by catalog and recommendations, and in which words: a table.

Tests run it against servers in one process, the claim `streaming-auth` as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.catalog.v1.catalog_mesh import CatalogServiceClient
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import RecommendationServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, ContractError
from streamingmesh import ADULTS, READ, TEENS, WATCH, Streaming, event, opening, session

PAGE: Final = "streaming-web"
ABOVE: Final = "s2"
"""A title for ages 17 and up."""
ALLOWED: Final = "s1"
"""A title for ages 13 and up."""


class Facts(NamedTuple):
    """Whom the calls are about."""

    streaming: Streaming
    mine: str
    others: str


class Method(NamedTuple):
    """One method: `call` makes the call for a profile as a workload, with a token."""

    name: str
    scopes: Sequence[str]
    call: Callable[[Facts, str, str, str], Awaitable[object]]


class Refusal(NamedTuple):
    """What a caller must be told; `message` stands in the words."""

    code: Code
    reason: str
    message: str


class Case(NamedTuple):
    """One way to call that must be refused."""

    name: str
    method: Method
    run: Callable[[Facts], Awaitable[object]]
    expected: Callable[[Facts], Refusal]


def _catalog(facts: Facts, workload: str) -> CatalogServiceClient:
    return facts.streaming.mesh.client(CatalogServiceClient, as_=workload)


def _recommendations(facts: Facts, workload: str) -> RecommendationServiceClient:
    return facts.streaming.mesh.client(RecommendationServiceClient, as_=workload)


async def _all(answers: AsyncIterator[object]) -> list[object]:
    return [each async for each in answers]


async def _search(facts: Facts, profile: str, workload: str, token: str) -> object:
    request = catalog_pb2.SearchTitlesRequest(profile_id=profile)
    return await _catalog(facts, workload).search_titles(request, token=token)


async def _facets(facts: Facts, profile: str, workload: str, token: str) -> object:
    request = catalog_pb2.GetFacetsRequest(profile_id=profile)
    return await _catalog(facts, workload).get_facets(request, token=token)


async def _get(facts: Facts, profile: str, workload: str, token: str) -> object:
    request = catalog_pb2.GetTitleRequest(profile_id=profile, title_id=ALLOWED)
    return await _catalog(facts, workload).get_title(request, token=token)


async def _several(facts: Facts, profile: str, workload: str, token: str) -> object:
    request = catalog_pb2.BatchGetTitlesRequest(profile_id=profile, title_ids=[ALLOWED])
    return await _catalog(facts, workload).batch_get_titles(request, token=token)


async def _list(facts: Facts, profile: str, workload: str, token: str) -> object:
    request = pb.ListRecommendationsRequest(profile_id=profile)
    return await _recommendations(facts, workload).list_recommendations(request, token=token)


async def _watch(facts: Facts, profile: str, workload: str, token: str) -> object:
    messages = session(opening(profile))
    return await _all(_recommendations(facts, workload).watch(messages, token=token))


async def _history(facts: Facts, profile: str, workload: str, token: str) -> object:
    request = pb.ListHistoryRequest(profile_id=profile)
    return await _recommendations(facts, workload).list_history(request, token=token)


async def _forget(facts: Facts, profile: str, workload: str, token: str) -> object:
    request = pb.DeleteHistoryRequest(profile_id=profile)
    return await _recommendations(facts, workload).delete_history(request, token=token)


METHODS: Final = (
    Method("SearchTitles", READ, _search),
    Method("GetFacets", READ, _facets),
    Method("GetTitle", READ, _get),
    Method("BatchGetTitles", READ, _several),
    Method("ListRecommendations", READ, _list),
    Method("Watch", WATCH, _watch),
    Method("ListHistory", WATCH, _history),
    Method("DeleteHistory", WATCH, _forget),
)


def facts_of(streaming: Streaming) -> Facts:
    """A user with a profile for teenagers, and somebody else's profile."""
    user, other = "viewer-of-refusals", "another-viewer"
    return Facts(
        streaming, streaming.profiles.add(user, TEENS), streaming.profiles.add(other, ADULTS)
    )


def good_token(facts: Facts, scopes: Sequence[str] = WATCH, **further: Any) -> str:
    """A token of the user."""
    return facts.streaming.token("viewer-of-refusals", scopes, **further)


def _with(
    method: Method,
    *,
    profile: Callable[[Facts], str] | None = None,
    workload: str = PAGE,
    token: Callable[[Facts], str] = good_token,
) -> Callable[[Facts], Awaitable[object]]:
    async def run(facts: Facts) -> object:
        asked = facts.mine if profile is None else profile(facts)
        return await method.call(facts, asked, workload, token(facts))

    return run


def _minted(scopes: Sequence[str] = WATCH, **further: Any) -> Callable[[Facts], str]:
    def mint(facts: Facts) -> str:
        return good_token(facts, scopes, **further)

    return mint


def _says(code: Code, reason: str, message: str) -> Callable[[Facts], Refusal]:
    def says(_facts: Facts) -> Refusal:
        return Refusal(code, reason, message)

    return says


def _denied(whose: Callable[[Facts], str]) -> Callable[[Facts], Refusal]:
    def denied(facts: Facts) -> Refusal:
        words = f"The profile {whose(facts)} is not one of yours."
        return Refusal(Code.PERMISSION_DENIED, "PROFILE_DENIED", words)

    return denied


def _no_token(_facts: Facts) -> str:
    return ""


def _others(facts: Facts) -> str:
    return facts.others


def _nobodys(_facts: Facts) -> str:
    return "00000000-0000-4000-8000-000000000000"


def _injected(_facts: Facts) -> str:
    return "1 OR 1=1"


def _cases_of(method: Method) -> list[Case]:
    unauthenticated = Code.UNAUTHENTICATED
    elsewhere = _minted(audience="marketing.acme.example")
    wrong_audience = "the token is not for streaming.acme.example"
    found = [
        (
            "no token",
            _with(method, token=_no_token),
            _says(unauthenticated, "TOKEN_MISSING", "token"),
        ),
        (
            "an expired token",
            _with(method, token=_minted(lifetime=-1)),
            _says(unauthenticated, "TOKEN_EXPIRED", "expired"),
        ),
        (
            "a token of another system",
            _with(method, token=elsewhere),
            _says(unauthenticated, "TOKEN_INVALID", wrong_audience),
        ),
        (
            "a workload without the role",
            _with(method, workload="stranger"),
            _says(Code.PERMISSION_DENIED, "ROLE_MISSING", "role"),
        ),
        ("another user's profile", _with(method, profile=_others), _denied(_others)),
        ("a profile that is not there", _with(method, profile=_nobodys), _denied(_nobodys)),
        (
            "a profile_id that is no UUID",
            _with(method, profile=_injected),
            _says(Code.INVALID_ARGUMENT, "INVALID_REQUEST", "profile_id"),
        ),
    ]
    for scope in method.scopes:
        rest = [each for each in WATCH if each != scope]
        refused = _says(Code.PERMISSION_DENIED, "SCOPE_MISSING", scope)
        found.append((f"a token without {scope}", _with(method, token=_minted(rest)), refused))
    return [Case(name, method, run, expected) for name, run, expected in found]


def _above_the_age() -> list[Case]:
    def refusal(facts: Facts) -> Refusal:
        return Refusal(
            Code.PERMISSION_DENIED,
            "TITLE_ABOVE_RATING",
            f"The title {ABOVE} is for ages 17 and up; the profile {facts.mine} "
            "is for ages up to 16.",
        )

    async def get(facts: Facts) -> object:
        request = catalog_pb2.GetTitleRequest(profile_id=facts.mine, title_id=ABOVE)
        return await _catalog(facts, PAGE).get_title(request, token=good_token(facts))

    def played(kind: Mapping[str, Any]) -> Callable[[Facts], Awaitable[object]]:
        async def play(facts: Facts) -> object:
            messages = session(opening(facts.mine), event(ABOVE, **kind))
            return await _all(
                _recommendations(facts, PAGE).watch(messages, token=good_token(facts))
            )

        return play

    by_name = {method.name: method for method in METHODS}
    kinds: dict[str, dict[str, Any]] = {
        "begun": {"started": pb.PlaybackStarted()},
        "finished": {"finished": pb.PlaybackFinished()},
        "rated": {"rated": pb.TitleRated(stars=5)},
    }
    return [
        Case("a title above the age", by_name["GetTitle"], get, refusal),
        *(
            Case(f"a title above the age, {name}", by_name["Watch"], played(kind), refusal)
            for name, kind in kinds.items()
        ),
    ]


def _the_export() -> list[Case]:
    def export(workload: str) -> Callable[[Facts], Awaitable[object]]:
        async def run(facts: Facts) -> object:
            request = catalog_pb2.ExportTitlesRequest()
            return await _all(_catalog(facts, workload).export_titles(request))

        return run

    async def call(facts: Facts, _profile: str, workload: str, _token: str) -> object:
        return await export(workload)(facts)

    method = Method("ExportTitles", (), call)
    refused = _says(Code.PERMISSION_DENIED, "ROLE_MISSING", "catalog.exporter")
    return [
        Case(f"the workload {name}", method, export(name), refused) for name in (PAGE, "stranger")
    ]


CASES: Final = (
    *(case for method in METHODS for case in _cases_of(method)),
    *_above_the_age(),
    *_the_export(),
)


async def fault(case: Case, facts: Facts) -> str:
    """What is wrong with how a case was refused; empty when it was refused as it must be."""
    expected = case.expected(facts)
    try:
        await case.run(facts)
    except (CallError, ContractError) as error:
        said = (error.code, error.reason)
        if said != (expected.code, expected.reason):
            return f"{said[0].name} {said[1]}: {error.message}"
        words = f"{error.message} {dict(error.metadata)} {error.fields}"
        if expected.message not in words:
            return f"the words do not say {expected.message!r}: {words}"
        return ""
    return "it was let in"
