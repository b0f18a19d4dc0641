"""The authorization endpoint: what it refuses, and where it sends the browser then."""

from __future__ import annotations

import pytest

from identity_system.refusals import NO_REDIRECT, WRONG_REQUESTS
from identityworld import Browser, OAuthClient, World, parameters
from reference.identity.oauthrequest import Asked

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(("change", "error"), WRONG_REQUESTS, ids=str)
async def test_a_wrong_request_is_refused_before_anybody_signs_in(
    world: World, browser: Browser, client: OAuthClient, change: dict[str, str | None], error: str
) -> None:
    answer = await browser.get(client.authorize_url(**change))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{client.redirect_uri}?")
    found = parameters(answer)
    assert (found["error"], found["state"]) == (error, "a-state")
    assert found["iss"] == world.issuer, "the issuer says who it is (RFC 9207)"
    assert "code" not in found


@pytest.mark.parametrize("change", NO_REDIRECT, ids=str)
async def test_whoever_is_not_known_gets_no_redirect(
    browser: Browser, client: OAuthClient, change: dict[str, str | None]
) -> None:
    wrong = {
        name: value and value.format(uri=client.redirect_uri) for name, value in change.items()
    }
    answer = await browser.get(client.authorize_url(**wrong))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "asked for something it may not" in answer.text


@pytest.mark.parametrize(
    "name", ["client_id", "redirect_uri", "state", "code_challenge", "resource"]
)
async def test_a_parameter_that_is_there_twice_is_refused(
    browser: Browser, client: OAuthClient, name: str
) -> None:
    answer = await browser.get(f"{client.authorize_url(resource='a')}&{name}=again")
    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def test_text_that_cannot_be_quoted_is_no_fault_of_the_server(
    browser: Browser, client: OAuthClient
) -> None:
    answer = await browser.get(client.authorize_url(response_type='code"\\ü'))
    assert answer.status_code in (303, 400)


async def test_the_answer_goes_to_the_client_by_a_code_alone(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    page = await browser.open(client.authorize_url())
    answer = await browser.follow(await browser.sign_up(page), client.redirect_uri)
    assert answer.status_code == 303, "never 307, which would send the password on (RFC 9700, 4.12)"
    found = parameters(answer)
    assert set(found) == {"code", "state", "iss"}
    assert (found["state"], found["iss"]) == ("a-state", world.issuer)


async def test_the_form_may_lead_to_the_client_that_asked_and_to_nobody_else(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    page = await browser.open(client.authorize_url())
    policy = page.headers["content-security-policy"]
    assert f"form-action 'self' {world.site};" in policy
    wrong = await browser.get(
        f"{world.issuer}/login?client_id=streaming-web&redirect_uri=https://evil.example/"
    )
    assert "form-action 'self';" in wrong.headers["content-security-policy"]


class Name(str):
    """A name that counts how often one is compared with another."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        type(self).compared += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


async def test_a_request_of_many_parameters_costs_no_more_than_its_length() -> None:
    many = tuple((Name(f"p{number}"), "") for number in range(2000))
    assert Asked("GET", "/authorize", many).twice == ""
    assert Asked("GET", "/authorize", (*many, many[-1])).twice == "p1999"
    assert Name.compared < 2 * len(many)
