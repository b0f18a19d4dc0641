"""MP181: fields whose names say that they hold personal data or secrets are marked so."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _says(name: str) -> tuple[str]:
    return (f"{name} says that it holds personal data or a secret, and is not marked so",)


def _field(written: str) -> str:
    return f"message Shop {{ {written} }}"


CASES: Final = (
    Case("an e-mail address is found", _field("@@string email = 1;"), _says("email")),
    Case("a marked one is right", _field("string email = 1 [debug_redact = true];")),
    Case(
        "one with a word before it is found",
        _field("@@string billing_email = 1;"),
        _says("billing_email"),
    ),
    Case(
        "several of them are found",
        _field("@@repeated string phone_numbers = 1;"),
        _says("phone_numbers"),
    ),
    Case(
        "addresses are found",
        _field("@@repeated string home_addresses = 1;"),
        _says("home_addresses"),
    ),
    Case(
        "a number behind it does not hide it",
        _field("@@string address_line_2 = 1;"),
        _says("address_line_2"),
    ),
    Case("a word after it makes another thing", _field("string email_template = 1;")),
    Case("a part of a word is none", _field("string blackmail = 1;")),
    Case("an answer of yes or no holds none", _field("bool email = 1;")),
    Case("whether there is one is none", _field("int32 has_email = 1;")),
    Case(
        "a message is found",
        _field("@@Address postal_address = 1;") + "message Address {}",
        _says("postal_address"),
    ),
    Case("a secret is found", _field("@@string client_secret = 1;"), _says("client_secret")),
    Case("bytes of a key are found", _field("@@bytes private_key = 1;"), _says("private_key")),
    Case("a page token is no secret", _field("string page_token = 1;")),
    Case(
        "a card number as a number is found",
        _field("@@uint64 card_number = 1;"),
        _says("card_number"),
    ),
)
