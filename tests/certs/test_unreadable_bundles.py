"""A federated domain's file that cannot be read for a while, and does not change meanwhile."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

import forgedcerts as forged
from meshpact.certs import bundlefetch
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import format_document
from meshpact.certs.federation import FederatedDomain, Federation
from meshpact.certs.files import write_whole
from meshpact.certs.source import SourceError
from meshpact.certs.spiffe import TrustDomain

PARTNER = TrustDomain("partner.example")
LONG = 60.0


def test_a_file_that_could_not_be_read_is_read_once_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "partner.json"
    first, second = (
        TrustBundle(PARTNER, (forged.root(PARTNER.name).certificate,)) for _ in range(2)
    )
    write_whole(path, format_document(first, sequence=1))
    made = Federation(TrustDomain("acme.example"), [FederatedDomain(PARTNER, str(path))])
    refused, changed, read = threading.Event(), threading.Event(), bundlefetch.FilePlace.read

    def once_unreadable(at: bundlefetch.FilePlace) -> bytes:
        if refused.is_set():
            return read(at)
        refused.set()
        raise SourceError("unreadable", f"{at} cannot be read: Permission denied")

    with contextlib.closing(made):
        made.subscribe(changed.set)
        monkeypatch.setattr(bundlefetch.FilePlace, "read", once_unreadable)
        write_whole(path, format_document(second, sequence=2))
        assert changed.wait(LONG)
        assert refused.is_set()
        assert dict(made.bundles) == {PARTNER.name: second}
