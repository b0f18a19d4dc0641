"""Passwords: argon2id (RFC 9106), the same work whether or not there is an account, and rules.

The rules are those of NIST SP 800-63B: a length, and no common or easily guessed one; no demands
for digits or signs.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from reference.identity.settings import Hashing

T = TypeVar("T")

SHORTEST: Final = 12
LONGEST: Final = 128
TYPED: Final = 4 * LONGEST
"""Characters of a typed password that are looked at: some keyboards send one letter as several."""
GUESSES: Final = 10.0
"""The decimal logarithm of the guesses that a password must take at least."""
_LETTERLIKE: Final = frozenset("4@8({[<3691!|70$5+7%2")


class Busy(Exception):
    """Too many passwords are being looked at; come back in a few seconds."""


class Passwords:
    """Hashes, verifies and judges, a few at once, outside of the event loop.

    What is hashed for strangers needs a `turn` first, so that they wait or are sent away.
    """

    def __init__(self, hashing: Hashing) -> None:
        self._hasher = PasswordHasher(hashing.time_cost, hashing.memory_kib, hashing.parallelism)
        self._threads = ThreadPoolExecutor(hashing.at_once, "argon2")
        self._turns = _Turns(hashing.at_once + hashing.waiting)
        # A judge holds the interpreter's lock: one, so that the event loop has its half.
        self._judge = ThreadPoolExecutor(1, "zxcvbn")
        self._judged = _Turns(1 + hashing.judged)
        self.computed = 0
        """Hashes computed so far, each the same work."""
        self._nobodys = self._hasher.hash(unicodedata.normalize("NFKC", "nobody's password"))

    @contextmanager
    def turn(self) -> Generator[None]:
        """One of those who may have passwords looked at now. Raises Busy when there are too many:
        take it before a try is counted."""
        with self._turns.one():
            yield

    async def hash(self, password: str) -> str:
        """The hash of a new password, with its parameters and salt."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, known: str, password: str) -> tuple[bool, str]:
        """Whether a password is the one of the hash `known`; "" stands for no account.

        The second value is a new hash, when the old one is weaker than hashes are now.
        """

        def work() -> tuple[bool, str]:
            right = self._is(known or self._nobodys, password) and bool(known)
            if right and self._hasher.check_needs_rehash(known):
                return True, self._hasher.hash(_normal(password))
            return right, ""

        return await self._run(work)

    async def fault(self, password: str, login: str) -> str:
        """As `fault`, which takes a tenth of a second for some. Busy."""
        found = _length_fault(password)
        if found:
            return found
        with self._judged.one():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._judge, fault, password, login)

    def _is(self, known: str, password: str) -> bool:
        try:
            self._hasher.verify(known, _normal(password[:TYPED]))
        except (VerificationError, InvalidHashError):
            return False
        return len(password) <= TYPED

    async def _run(self, work: Callable[[], T]) -> T:
        self.computed += 1
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Ends its threads."""
        self._threads.shutdown(wait=False)
        self._judge.shutdown(wait=False)


class _Turns:
    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    @contextmanager
    def one(self) -> Generator[None]:
        if self._now >= self._most:
            raise Busy
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1


def fault(password: str, login: str) -> str:
    """Why a password cannot be taken, in words for the person; "" when it can."""
    found = _length_fault(password)
    if found:
        return found
    from zxcvbn import zxcvbn

    judged = zxcvbn(_guessed(_normal(password)), user_inputs=[login])
    if float(judged["guesses_log10"]) < GUESSES:
        return "It is one of the commonest passwords, or easily guessed. Use a few random words."
    return ""


def _length_fault(password: str) -> str:
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters. Several words in a row are fine."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    return ""


def _guessed(password: str) -> str:
    """The beginning, which has to be hard to guess by itself.

    zxcvbn reads signs as letters in every combination: half a minute for many different ones.
    """
    return password[: 40 if len(_LETTERLIKE.intersection(password)) <= 5 else 16]


def _normal(password: str) -> str:
    """As NIST SP 800-63B has it, so that one password typed on two keyboards stays one."""
    return unicodedata.normalize("NFKC", password)
