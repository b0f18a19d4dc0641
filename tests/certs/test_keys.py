"""The CA's keys: their kinds, encryption, permissions, and a root's key that is kept elsewhere."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from meshpact.certs import authority, keys
from meshpact.certs.ca import CaError, LocalCA
from meshpact.certs.cadoctor import ca_faults
from meshpact.certs.keys import KeyType
from meshpact.certs.passphrase import VARIABLE, from_environment, read_passphrase
from meshpact.certs.published import published
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from meshpact.certs.verify import verify_peer

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")
SECRET = b"a horse, a battery"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "ca"


def refusal_of(directory: Path, passphrase: bytes | None = None) -> CaError:
    with pytest.raises(CaError) as refusal:
        LocalCA.load(directory, passphrase=passphrase)
    return refusal.value


@pytest.mark.parametrize("kind", list(KeyType))
def test_a_ca_of_each_kind_of_key_issues_svids_that_verify(directory: Path, kind: KeyType) -> None:
    ca = LocalCA.init(directory, "acme.example", key_type=kind)
    svid = ca.issue(INVENTORY)
    verify_peer(svid.leaf_pem, svid.chain_pem, {"acme.example": ca.bundle}, time.time())
    for name in ("root", "intermediate"):
        key = keys.decode((directory / "1" / f"{name}.key.pem").read_bytes())
        assert keys.kind_of(key) == kind


@pytest.mark.parametrize("kind", [KeyType.EC_P384, KeyType.RSA_2048])
def test_a_workload_may_have_another_kind_of_key_than_the_ca(
    directory: Path, kind: KeyType
) -> None:
    ca = LocalCA.init(directory, "acme.example")
    svid = ca.issue(INVENTORY, key_type=kind)
    assert keys.kind_of(keys.decode(svid.key_pem)) == kind
    assert X509Svid.from_pem(svid.chain_pem, svid.key_pem) == svid
    verify_peer(svid.leaf_pem, svid.chain_pem, {"acme.example": ca.bundle}, time.time())


def test_the_keys_of_a_ca_are_on_p256_unless_said_otherwise(directory: Path) -> None:
    svid = LocalCA.init(directory, "acme.example").issue(INVENTORY)
    for certificate in svid.chain:
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"


def pem_of(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(pem_of(ec.generate_private_key(ec.SECP521R1())), id="P-521"),
        pytest.param(pem_of(ec.generate_private_key(ec.SECP256K1())), id="another curve"),
        pytest.param(pem_of(rsa.generate_private_key(65537, 1024)), id="RSA 1024"),
        pytest.param(pem_of(ed25519.Ed25519PrivateKey.generate()), id="Ed25519"),
    ],
)
def test_a_key_of_another_kind_is_refused(pem: bytes) -> None:
    with pytest.raises(keys.UnusableKey, match="P-256, P-384 and RSA from 2048 bits") as refusal:
        keys.decode(pem)
    assert refusal.value.rule == "key"


def test_encrypted_keys_open_with_their_passphrase_only(directory: Path) -> None:
    made = LocalCA.init(directory, "acme.example", passphrase=SECRET)
    for path in directory.rglob("*.key.pem"):
        assert keys.is_encrypted(path.read_bytes())
    assert LocalCA.load(directory, passphrase=SECRET).issue(INVENTORY).id == INVENTORY
    missing, wrong = refusal_of(directory), refusal_of(directory, b"a cow")
    assert (missing.rule, wrong.rule) == ("passphrase", "passphrase")
    assert "--passphrase-file" in str(missing)
    assert "the passphrase is wrong" in str(wrong)
    for text in (repr(made), str(missing), str(wrong)):
        assert SECRET.decode() not in text
        assert "a cow" not in text


def test_an_svids_key_is_not_encrypted(directory: Path) -> None:
    svid = LocalCA.init(directory, "acme.example", passphrase=SECRET).issue(INVENTORY)
    assert not keys.is_encrypted(svid.key_pem)


def test_a_passphrase_for_keys_that_are_not_encrypted_does_no_harm(directory: Path) -> None:
    LocalCA.init(directory, "acme.example")
    assert LocalCA.load(directory, passphrase=SECRET).issue(INVENTORY).id == INVENTORY


def test_a_new_intermediate_is_encrypted_like_the_old_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalCA.init(directory, "acme.example", passphrase=SECRET)
    monkeypatch.setattr(authority, "INTERMEDIATE_RENEWAL", timedelta(days=400))
    monkeypatch.setattr(authority, "INTERMEDIATE_LIFETIME", timedelta(days=800))
    LocalCA.load(directory, passphrase=SECRET)
    assert keys.is_encrypted((directory / "1" / "intermediate-2.key.pem").read_bytes())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_ca_key_that_others_can_read_is_not_used(directory: Path, mode: int) -> None:
    LocalCA.init(directory, "acme.example")
    key = directory / "1" / "intermediate.key.pem"
    key.chmod(mode)
    error = refusal_of(directory)
    assert error.rule == "permissions"
    assert f"chmod 600 {key}" in str(error)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o730, 0o702])
@pytest.mark.parametrize("folder", [".", "1"])
def test_a_ca_into_which_others_can_put_a_root_of_theirs_is_not_used(
    directory: Path, folder: str, mode: int
) -> None:
    LocalCA.init(directory, "acme.example")
    used = LocalCA.load(directory)
    (directory / folder).chmod(mode)
    error = refusal_of(directory)
    assert error.rule == "permissions"
    assert f"chmod 700 {directory / folder}" in str(error)
    with pytest.raises(CaError, match="chmod 700"):
        published(directory)
    if folder == ".":
        with pytest.raises(CaError, match="chmod 700"):
            used.issue(INVENTORY)
    told = [each.rule for each in ca_faults(directory, directory / "trust", datetime.now(UTC))]
    assert told == ["permissions"]


def test_issuing_goes_on_when_the_roots_key_is_kept_elsewhere(directory: Path) -> None:
    LocalCA.init(directory, "acme.example")
    (directory / "1" / "root.key.pem").unlink()
    ca = LocalCA.load(directory)
    svid = ca.issue(INVENTORY)
    verify_peer(svid.leaf_pem, svid.chain_pem, {"acme.example": ca.bundle}, time.time())


def test_an_intermediate_that_runs_out_without_the_roots_key_serves_to_its_end(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(authority, "INTERMEDIATE_LIFETIME", timedelta(hours=2))
        LocalCA.init(directory, "acme.example")
    key, away = directory / "1" / "root.key.pem", tmp_path / "safe.pem"
    key.rename(away)
    ca = LocalCA.load(directory)
    now = datetime.now(UTC)
    short = ca.issue(INVENTORY, lifetime=timedelta(hours=20))
    assert short.not_after < (now + timedelta(hours=3)).timestamp()
    with pytest.raises(CaError) as refusal:
        ca.issue(INVENTORY, now=now + timedelta(hours=3))
    assert refusal.value.rule == "expired"
    assert f"put the root's key back to {key}" in str(refusal.value)
    away.rename(key)
    generation = ca.generation
    assert ca.issue(INVENTORY, now=now + timedelta(hours=3)).id == INVENTORY
    assert ca.generation == generation + 1


def test_the_roots_key_alone_may_be_encrypted_and_is_not_needed_to_issue(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(authority, "INTERMEDIATE_LIFETIME", timedelta(days=20))
        patch.setattr(authority, "INTERMEDIATE_RENEWAL", timedelta(days=1))
        LocalCA.init(directory, "acme.example", passphrase=SECRET)
    path = directory / "1" / "intermediate.key.pem"
    path.write_bytes(keys.encode(keys.decode(path.read_bytes(), SECRET)))
    ca = LocalCA.load(directory)
    assert ca.issue(INVENTORY).id == INVENTORY
    renewed = LocalCA.load(directory, passphrase=SECRET)
    assert renewed.generation == ca.generation + 1


def test_a_passphrase_file_is_read_only_when_nobody_else_can(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(SECRET + b"\nanother line\n")
    path.chmod(0o644)
    with pytest.raises(CaError, match="chmod 600") as refusal:
        read_passphrase(path)
    assert refusal.value.rule == "passphrase"
    path.chmod(0o600)
    assert read_passphrase(path) == SECRET


def test_an_empty_or_missing_passphrase_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    with pytest.raises(CaError, match="cannot be read"):
        read_passphrase(path)
    path.touch(0o600)
    with pytest.raises(CaError, match="has 0 bytes"):
        read_passphrase(path)


def test_the_environment_names_the_file_and_never_the_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert from_environment() is None
    path = tmp_path / "passphrase"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    monkeypatch.setenv(VARIABLE, str(path))
    assert from_environment() == SECRET
