"""protoc-gen-meshpact writes through protoc and through buf what `meshpact generate` writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest

import contractfiles
from contractfiles import service
from meshpact.contracts import buf, thirdparty
from meshpact.contracts.generate import generate
from meshpact.contracts.image import compile_image, run_protoc
from meshpact.contracts.plugin import respond

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


def test_a_comment_that_is_not_utf8_does_not_end_it(tmp_path: Path) -> None:
    path, _, _ = contractfiles.contract(tmp_path / "protos", service())
    path.write_bytes(path.read_bytes().replace(b"service Shop", b"// Caf\xe9.\nservice Shop"))
    out = tmp_path / "out"
    out.mkdir()
    done = protoc(tmp_path / "protos", out, "shop/v1/shop.proto")
    assert done.returncode == 0, done.stderr
    assert "Caf\N{REPLACEMENT CHARACTER}." in modules(out)["shop/v1/shop_mesh.py"]


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


OTHER = """\
import sys
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = CodeGeneratorResponse(supported_features=3, minimum_edition=998, maximum_edition=1001)
for name in request.file_to_generate:
    response.file.add(name=name + ".seen", content="by a plugin of one's own")
sys.stdout.buffer.write(response.SerializeToString())
"""
MODERN = """\
edition = "2024";
package shop.v1;
option features.enforce_naming_style = STYLE_LEGACY;
import "meshpact/policy/v1/policy.proto";
message None { string class = 1; }
"""


def own_plugin(folder: Path) -> Path:
    """A user's own plugin, as a program."""
    (folder / "own.py").write_text(OTHER)
    program = folder / "protoc-gen-own"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {folder / 'own.py'}\n")
    program.chmod(0o700)
    return program


def modern(root: Path) -> Path:
    """A contract in the newest edition, with a message that bears a keyword's name."""
    body = service().replace("GetRequest", ".shop.v1.None").replace("GetResponse", ".shop.v1.None")
    return contractfiles.write(root, {"shop/v1/shop.proto": MODERN + body})


@pytest.mark.parametrize("through", ["protoc", "buf"])
def test_a_plugin_of_ones_own_may_stand_beside_it(through: str, tmp_path: Path) -> None:
    root, out, own = modern(tmp_path / "protos"), tmp_path / "out", own_plugin(tmp_path)
    out.mkdir()
    if through == "protoc":
        installed = tmp_path / "installed.bin"
        installed.write_bytes(thirdparty.descriptors().SerializeToString())
        done = run_protoc(
            f"--proto_path={root}",
            *(f"--proto_path={path}" for path in thirdparty.include_paths()),
            f"--descriptor_set_in={installed}",
            *(f"--plugin=protoc-gen-meshpact={PLUGIN}", f"--plugin=protoc-gen-own={own}"),
            *(f"--meshpact_out={out}", f"--own_out={out}", f"--python_out={out}"),
            "shop/v1/shop.proto",
        )
    else:
        image = tmp_path / "image.binpb"
        image.write_bytes(compile_image([root]).buf_bytes)
        plugins = [{"local": str(path), "out": str(out)} for path in (PLUGIN, own)]
        done = subprocess.run(
            [
                *(buf.executable(), "generate", str(image)),
                *("--template", json.dumps({"version": "v2", "plugins": plugins})),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert (out / "shop/v1/shop.proto.seen").is_file()
    generate([root], tmp_path / "whole")
    assert modules(out) == modules(tmp_path / "whole")
    assert list(modules(out)) == ["shop/v1/shop_mesh.py"]


def test_an_option_is_refused_with_what_to_do(tmp_path: Path) -> None:
    request = CodeGeneratorRequest(parameter="paths=source_relative", file_to_generate=["a.proto"])
    assert respond(request).error == (
        "protoc-gen-meshpact takes no options, and was given 'paths=source_relative': drop "
        "--meshpact_opt (protoc) or opt (buf.gen.yaml)"
    )
