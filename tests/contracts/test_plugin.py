"""protoc-gen-meshpact writes through protoc and through buf what `meshpact generate` writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import contractfiles
from contractfiles import service
from meshpact.contracts import buf, thirdparty
from meshpact.contracts.image import compile_image, run_protoc

PLUGIN = Path(sys.executable).parent / "protoc-gen-meshpact"


def modules(folder: Path) -> dict[str, str]:
    """The `_mesh` modules below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*_mesh.py"))
    }


def protoc(root: Path, out: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run protoc with the plugin, imports found as a user of protoc finds them."""
    installed = out.parent / "installed.bin"
    installed.write_bytes(thirdparty.descriptors().SerializeToString())
    return run_protoc(
        f"--proto_path={root}",
        *(f"--proto_path={path}" for path in thirdparty.include_paths()),
        f"--descriptor_set_in={installed}",
        f"--plugin=protoc-gen-meshpact={PLUGIN}",
        f"--meshpact_out={out}",
        *files,
    )


def test_protoc_writes_the_same_modules(golden: Path, golden_protos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    files = [path.relative_to(golden_protos).as_posix() for path in golden_protos.rglob("*.proto")]
    done = protoc(golden_protos, out, *files)
    assert done.returncode == 0, done.stderr
    assert modules(out) == modules(golden)
    assert len(modules(out)) == 2


def test_buf_writes_the_same_modules(golden: Path, golden_protos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = tmp_path / "image.binpb"
    image.write_bytes(compile_image([golden_protos]).buf_bytes)
    template = (
        '{"version":"v2","plugins":[{"local":"' + str(PLUGIN) + '","out":"' + str(out) + '"}]}'
    )
    done = subprocess.run(
        [buf.executable(), "generate", str(image), "--template", template],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert modules(out) == modules(golden)


def test_a_fault_ends_protoc_with_its_place(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    body = service("errors: []", "").replace("option (mesh", "@@option (mesh")
    _, line, column = contractfiles.contract(tmp_path / "protos", body)
    done = protoc(tmp_path / "protos", out, "shop/v1/shop.proto")
    assert done.returncode != 0
    assert (
        f"shop/v1/shop.proto:{line}:{column}: shop.v1.Shop/Get: no access is stated" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert modules(out) == {}


def test_a_file_without_services_and_errors_has_no_module(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    contractfiles.contract(tmp_path / "protos", "message Item {}\n")
    assert protoc(tmp_path / "protos", out, "shop/v1/shop.proto").returncode == 0
    assert modules(out) == {}


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\xff"], ids=["noise", "cut short"])
def test_a_request_that_does_not_parse_is_told_without_a_traceback(data: bytes) -> None:
    done = subprocess.run([str(PLUGIN)], input=data, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"protoc-gen-meshpact: ")
    assert b"Traceback" not in done.stderr
