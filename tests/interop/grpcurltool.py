"""grpcurl beside a running shop: the lines that are printed for it, pasted into a shell."""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from google.protobuf.json_format import ParseDict
from google.rpc.error_details_pb2 import ErrorInfo

from interop.conftest import RunningShop

GET_STOCK: Final = "acme.retail.inventory.v1.InventoryService/GetStock"
ASKS: Final = ("-d", '{"sku": "85123A"}')


def error_info(stderr: str) -> ErrorInfo:
    """The ErrorInfo among the details that grpcurl prints: in full where it knows the type, else
    as bytes."""
    decoder = json.JSONDecoder()
    for at in re.finditer(r"^ +\d+\)\s*", stderr, re.MULTILINE):
        detail, _ = decoder.raw_decode(stderr, at.end())
        if detail.pop("@type") != "type.googleapis.com/google.rpc.ErrorInfo":
            continue
        if "@value" in detail:
            return ErrorInfo.FromString(base64.b64decode(detail["@value"]))
        return ParseDict(detail, ErrorInfo())
    raise AssertionError(f"no ErrorInfo in:\n{stderr}")


class Grpcurl:
    """grpcurl beside a running shop."""

    def __init__(self, binary: Path, shop: RunningShop) -> None:
        self.binary = binary
        self.shop = shop

    def line(self, *call: str) -> str:
        """The line that `meshpact call --print-grpcurl` prints for a call."""
        printed = self.shop.meshpact("call", *call, "--print-grpcurl")
        assert printed.returncode == 0, printed.stderr
        assert printed.stdout.count("\n") == 1
        return printed.stdout.strip()

    def paste(self, line: str) -> subprocess.CompletedProcess[str]:
        """Runs a line in a shell in the mesh's directory, as a person would."""
        folders = (str(self.binary.parent), str(Path(sys.executable).parent), os.environ["PATH"])
        return subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.shop.home,
            env={**os.environ, "PATH": ":".join(folders)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def aside(self, caller: str, *verb: str, options: tuple[str, ...] = ()) -> str:
        """A line of one's own to the inventory, with a caller's certificate from `.meshpact/`."""
        words = shlex.split(self.line(GET_STOCK, *ASKS, "--as", caller, "--reflection"))
        who = words[: words.index("-d")]
        return shlex.join([*who, *options, self.shop.address("inventory"), *verb])

    def stays_outside(self, line: str) -> None:
        """Asserts that the server lets nobody in who comes by this line."""
        refused = self.paste(line.replace("grpcurl", "grpcurl -connect-timeout 2", 1))
        assert refused.returncode == 1, refused.stderr
        assert refused.stdout == ""
        assert "Failed to dial target host" in refused.stderr

    @property
    def domain(self) -> str:
        (bundle,) = self.shop.state.trust.glob("*.pem")
        return bundle.stem
