"""Whether words that people write say anything: reasons and comments."""

from __future__ import annotations

import re
from typing import Final


def words(text: str) -> tuple[str, ...]:
    """A table of words, written as a text."""
    return tuple(text.split())


_WORD: Final = re.compile(r"[^\W_]+")
_STAND_INS: Final = frozenset(
    words(
        "todo tbd fixme xxx wip n/a na none nil null because reason test testing temp temporary "
        "tmp placeholder unknown later foo bar asdf lorem ipsum dummy example fill in me here "
        "please explain why the a an it is to be done say change this comment write description "
        "needed yes ok no idea"
    )
)
_LEAST_WORDS: Final = 3


def is_reason(text: str) -> bool:
    """Whether a text can be a reason: three words at least, some of them no stand-in."""
    return len(_WORD.findall(text)) >= _LEAST_WORDS and says_something(text)


def says_something(text: str) -> bool:
    """Whether a text is more than a stand-in such as TODO."""
    said = [word.lower() for word in _WORD.findall(text)]
    return (
        bool(said)
        and said[0] not in {"todo", "fixme", "tbd", "xxx"}
        and any(word not in _STAND_INS for word in said)
    )


def repeats(text: str, name: str) -> bool:
    """Whether a text says nothing but a name: `The order ID.` of `order_id`."""
    articles = {"the", "a", "an", "of", "this", "is"}
    said = [word.lower() for word in _WORD.findall(text)]
    plain = "".join(word for word in said if word not in articles)
    return not plain or plain == re.sub(r"[\W_]", "", name).lower()
