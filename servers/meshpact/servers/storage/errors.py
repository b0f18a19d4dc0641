"""Why a database cannot be used: for good (StorageError), or just now (StorageUnavailable)."""

from __future__ import annotations

from typing import Final

from meshpact.interceptors.errors import DOMAIN, STORAGE_UNAVAILABLE, MeshpactError, StatusError

RETRY_AFTER: Final = 1.0
"""Seconds after which a caller may ask again."""


class StorageError(MeshpactError):
    """A database cannot be used; says which, why, and what to do."""


class StorageUnavailable(StatusError):
    """The database does not answer just now. Let out of a handler it reaches the caller as
    UNAVAILABLE, reason STORAGE_UNAVAILABLE, with RetryInfo.

    `detail` is for the log: it may name hosts and files. Whether a transaction that ended this way
    was written is unknown; what names itself by a request_id may be tried again.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(
            STORAGE_UNAVAILABLE.code,
            "The service's database cannot be reached; try again.",
            reason=STORAGE_UNAVAILABLE.name,
            domain=DOMAIN,
            retry_after=RETRY_AFTER,
        )
        self.detail = detail
