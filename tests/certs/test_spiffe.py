"""The grammar of SPIFFE IDs, against the SPIFFE-ID standard, section 2."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshpact.certs.spiffe import (
    SpiffeError,
    SpiffeId,
    TrustDomain,
    dns_name,
    from_dns_name,
    is_workload_id,
)

SEGMENT_CHARACTERS = string.ascii_letters + string.digits + "._-"
DOMAIN_CHARACTERS = string.ascii_lowercase + string.digits + "._-"

domains = st.text(DOMAIN_CHARACTERS, min_size=1, max_size=255)
segments = st.text(SEGMENT_CHARACTERS, min_size=1, max_size=40).filter(
    lambda segment: segment not in (".", "..")
)
paths = st.lists(segments, max_size=10).map(lambda parts: "".join(f"/{part}" for part in parts))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "scheme"),
        ("acme.example/inventory", "scheme"),
        ("https://acme.example/inventory", "scheme"),
        ("SPIFFE://acme.example/inventory", "scheme"),
        ("spiffe:/acme.example/inventory", "scheme"),
        (" spiffe://acme.example/inventory", "scheme"),
        ("spiffe://", "trust-domain"),
        ("spiffe:///inventory", "trust-domain"),
        ("spiffe://Acme.example/inventory", "trust-domain"),
        ("spiffe://acme example/inventory", "trust-domain"),
        ("spiffe://acmé.example/inventory", "trust-domain"),
        ("spiffe://[::1]/inventory", "port"),
        ("spiffe://acme.example:443/inventory", "port"),
        ("spiffe://acme.example:/inventory", "port"),
        ("spiffe://user@acme.example/inventory", "userinfo"),
        ("spiffe://user:word@acme.example/inventory", "userinfo"),
        ("spiffe://acme.example/inventory?a=b", "query"),
        ("spiffe://acme.example/inventory?", "query"),
        ("spiffe://acme.example/inventory#a", "fragment"),
        ("spiffe://acme.example#", "fragment"),
        ("spiffe://acme.example/in%76entory", "percent-encoding"),
        ("spiffe://acme%2eexample/inventory", "percent-encoding"),
        ("spiffe://acme.example/", "trailing-slash"),
        ("spiffe://acme.example/inventory/", "trailing-slash"),
        ("spiffe://acme.example//inventory", "empty-segment"),
        ("spiffe://acme.example/a//b", "empty-segment"),
        ("spiffe://acme.example/.", "dot-segment"),
        ("spiffe://acme.example/a/../b", "dot-segment"),
        ("spiffe://acme.example/..", "dot-segment"),
        ("spiffe://acme.example/a b", "path"),
        ("spiffe://acme.example/a\n", "path"),
        ("spiffe://acme.example/a\x00b", "path"),
        ("spiffe://acme.example/inventär", "path"),
        ("spiffe://acme.example/a:b", "path"),
        ("spiffe://acme.example/a@b", "path"),
        ("spiffe://acme.example/a*", "path"),
        ("spiffe://acme.example\n", "trust-domain"),
        ("spiffe://" + "a" * 256 + "/x", "length"),
        ("spiffe://acme.example/" + "a" * 2048, "length"),
    ],
)
def test_a_text_outside_the_grammar_is_refused_by_its_rule(text: str, rule: str) -> None:
    with pytest.raises(SpiffeError) as refusal:
        SpiffeId.parse(text)
    assert refusal.value.rule == rule


@pytest.mark.parametrize(
    ("text", "domain", "path"),
    [
        ("spiffe://acme.example", "acme.example", ""),
        ("spiffe://acme.example/inventory", "acme.example", "/inventory"),
        ("spiffe://a_b-c.d/ns/Shop/sa/web_1.2", "a_b-c.d", "/ns/Shop/sa/web_1.2"),
        ("spiffe://1.2.3.4/...", "1.2.3.4", "/..."),
    ],
)
def test_a_spiffe_id_is_read_into_its_parts(text: str, domain: str, path: str) -> None:
    spiffe_id = SpiffeId.parse(text)
    assert (spiffe_id.trust_domain.name, spiffe_id.path, str(spiffe_id)) == (domain, path, text)


def test_an_id_of_2048_bytes_is_the_longest() -> None:
    text = "spiffe://acme.example/" + "a" * (2048 - len("spiffe://acme.example/"))
    assert len(str(SpiffeId.parse(text))) == 2048
    with pytest.raises(SpiffeError, match="2048"):
        SpiffeId.parse(text + "a")


@given(domains, paths)
def test_every_id_of_the_grammar_reads_back_as_itself(domain: str, path: str) -> None:
    text = f"spiffe://{domain}{path}"
    spiffe_id = SpiffeId.parse(text)
    assert str(spiffe_id) == text
    assert SpiffeId.parse(str(spiffe_id)) == spiffe_id


@given(st.text(max_size=60))
def test_any_other_text_is_refused_or_kept_as_it_is(text: str) -> None:
    for candidate in (text, f"spiffe://{text}", f"spiffe://acme.example/{text}"):
        try:
            assert str(SpiffeId.parse(candidate)) == candidate
        except SpiffeError as error:
            assert error.rule
            assert str(error).isascii()


id_like = st.lists(
    st.one_of(segments, st.sampled_from(["/", "//", ".", "..", "%41", ":1", "\n", "*", "", "é"])),
    max_size=8,
).map("".join)


def parses_as_workload(text: str) -> bool:
    try:
        return bool(SpiffeId.parse(text).path)
    except SpiffeError:
        return False


@given(st.one_of(id_like, st.text(max_size=20)))
@example("acme.example/.")
@example("acme.example/..")
@example("acme.example/a/../b")
@example("acme.example/.../a")
@example("acme.example/a\n")
@example("acme.example/a/..\n")
@example("acme.example")
@example("a" * 256 + "/b")
@example("a/" + "b" * 2040)
def test_the_quick_look_at_an_id_agrees_with_its_grammar(rest: str) -> None:
    text = f"spiffe://{rest}"
    assert is_workload_id(text) == parses_as_workload(text)


@given(domains, segments, st.sampled_from("/%?#@: \\\0\n*é"))
def test_a_character_outside_the_grammar_never_becomes_part_of_a_service_id(
    domain: str, segment: str, character: str
) -> None:
    with pytest.raises(SpiffeError):
        SpiffeId.for_service(domain, f"{segment}{character}")


@pytest.mark.parametrize("name", ["", "Acme", "acme example", "a/b", "a:1", "u@a", "é", "a\n"])
def test_a_trust_domain_outside_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(SpiffeError):
        TrustDomain(name)


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.lists(labels, min_size=1, max_size=4), labels)
def test_a_dns_name_leads_back_to_its_id(domain: list[str], service: str) -> None:
    spiffe_id = SpiffeId.for_service(".".join(domain), service)
    assert from_dns_name(dns_name(spiffe_id)) == spiffe_id


@given(st.tuples(domains, segments), st.tuples(domains, segments))
def test_no_two_ids_share_a_dns_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    ids = {SpiffeId.for_service(*one), SpiffeId.for_service(*other)}
    names: set[str] = set()
    for spiffe_id in ids:
        try:
            names.add(dns_name(spiffe_id).lower())
        except SpiffeError:
            return
    assert len(names) == len(ids)


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://acme.example",
        "spiffe://acme.example/a/b",
        "spiffe://acme.example/a.b",
        "spiffe://acme.example/Inventory",
        "spiffe://acme.example/a_b",
        "spiffe://acme.example/-a",
        "spiffe://acme..example/a",
        "spiffe://acme_x.example/a",
        "spiffe://acme.example./a",
        "spiffe://acme.example/" + "a" * 64,
        "spiffe://" + ".".join(["a" * 60] * 4) + "/" + "b" * 60,
    ],
)
def test_an_id_that_no_dns_name_can_stand_for_is_refused(text: str) -> None:
    with pytest.raises(SpiffeError) as refusal:
        dns_name(SpiffeId.parse(text))
    assert refusal.value.rule == "dns-name"
