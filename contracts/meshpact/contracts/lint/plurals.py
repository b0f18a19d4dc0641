"""Whether an English word, or a name made of words, is in the plural.

For few false alarms `may_be_plural` says yes to what is either, and `must_be_plural` only to what
cannot be singular.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from meshpact.contracts.lint.prose import words

EITHER: Final = frozenset(
    words(
        "advice aircraft analytics audience audio baggage barracks bison bounds cargo cash "
        "chassis cod code content contents corps coverage credentials crossroads data deer "
        "details diagnostics economics equipment evidence feedback firmware fish freight "
        "gallows goods hardware headquarters history info information innings inventory kudos "
        "legal logistics luggage machinery mail mathematics means media metadata metrics money "
        "moose music news offspring options permissions physics politics preferences press "
        "progress properties provenance rest salmon scissors series settings shambles sheep "
        "shrimp software species spacecraft staff stats statistics stock stuff swine telemetry "
        "traffic trout video vinyl watch works"
    )
)
"""Words of one form for both, words that are not counted, and plurals that name one thing."""
SEVERAL: Final = frozenset(
    words(
        "acl adjacent argv batch best by chain command cors ddl env equal extra from hierarchy "
        "histogram input invalid latest layout list matrix missing near new next old other output "
        "overdue past path pending queue recent remaining route schedule sequence set similar text "
        "timeline top trail tree trending unknown upcoming valid vector"
    )
)
"""What is made of several things, or said of several without naming them: `next_up`."""
IRREGULAR: Final = frozenset(
    words(
        "children people men women feet geese mice teeth oxen lice dice indices vertices "
        "matrices appendices criteria phenomena curricula memoranda minima maxima quanta "
        "schemata stigmata alumni cacti foci fungi nuclei radii stimuli syllabi loci genera "
        "corpora opera strata errata bacteria symposia aquaria formulae vertebrae larvae"
    )
)
SINGULAR: Final = frozenset(
    words(
        "alias atlas bias canvas gas lens pancreas pus yes this his its as is was has does dns "
        "gps tls sms https ios os aws gcs jws jwks kms css js ts ps rss pos ssds ddos "
        "kubernetes texas kansas paris christmas chaos cosmos pathos logos thermos always plus "
        "rhinoceros molasses herpes diabetes mercedes"
    )
)
"""Words with an s at the end that are no plurals."""
_SINGULAR_END: Final = ("ss", "us", "is")
_ADJECTIVE: Final = ("ed", "en", "able", "ible")
"""`rejected`, `unreachable` (AIP-217): what they are said of may be many."""
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@lru_cache(maxsize=10_000)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case, whatever way they are joined; digits are dropped."""
    return tuple(word.lower() for word in _WORDS.findall(name))


@lru_cache(maxsize=10_000)
def may_be_plural(name: str) -> bool:
    """Whether some word of a name may be a plural: `lines_of_code`, `stock`, `rejected`."""
    return any(_may_be(word) for word in words_of(name))


@lru_cache(maxsize=10_000)
def must_be_plural(name: str) -> bool:
    """Whether the last word of a name can be nothing but a plural: `Orders`, not `News`."""
    found = words_of(name)
    return bool(found) and _must_be(found[-1])


def _may_be(word: str) -> bool:
    if word in EITHER or word in SEVERAL or word in IRREGULAR:
        return True
    if word.endswith("s"):
        return word not in SINGULAR and not word.endswith(("ss", "sis", "status"))
    return word.endswith(_ADJECTIVE) and len(word) > 5


def _must_be(word: str) -> bool:
    if word in EITHER or word in SEVERAL or word in SINGULAR:
        return False
    return word in IRREGULAR or (
        word.endswith("s") and not word.endswith(_SINGULAR_END) and len(word) > 3
    )
