"""What mesh.yaml may say of a command."""

from pathlib import Path

import pytest

from meshpact.mesh.config import load
from meshpact.mesh.problems import MeshFileError


def write(path: Path, service: str) -> Path:
    file = path / "mesh.yaml"
    file.write_text(f"trust_domain: demo.test\nservices:\n  alpha: {service}\n")
    return file


@pytest.mark.parametrize("address", ['""', "127.0.0.1:0", "127.0.0.1:7001"])
def test_a_command_listens_somewhere_or_only_calls(tmp_path: Path, address: str) -> None:
    config = load(write(tmp_path, f"{{command: [./serve, '', x y], address: {address}}}"))
    assert config.services["alpha"].command == ("./serve", "", "x y")


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("{command: [x], factory: 'a:b'}", "services.alpha.command: there is a factory too"),
        ("{command: ['']}", "services.alpha.command[0]: found ''; allowed: a program"),
        ('{command: [x, "a\\0b"]}', "services.alpha.command[1]: found 'a\\x00b'"),
        ("{command: x}", "services.alpha.command"),
        ("{address: ''}", "services.alpha.address: found ''"),
        ("{factory: 'a:b', address: ''}", "services.alpha.address: found ''"),
    ],
)
def test_what_is_no_command_is_refused_with_its_line(
    tmp_path: Path, service: str, words: str
) -> None:
    with pytest.raises(MeshFileError) as refused:
        load(write(tmp_path, service))
    assert words in str(refused.value)
    assert refused.value.line == 3
