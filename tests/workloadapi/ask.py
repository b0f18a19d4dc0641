"""A workload of these tests, started by `meshpact up`: asks who it is and tells the test.

Roles: `once` asks and ends; `stay` follows its identity until it is ended; `fail` asks and ends
with exit code 3; `family` has a helper ask in its session, and one in a session of its own;
`serve` listens where it is told to, then stays.
"""

import json
import os
import socket
import subprocess
import sys
import threading

import spiffe
from spiffe.workloadapi.errors import FetchX509SvidError


def main() -> int:
    role, path = sys.argv[1:3]
    with socket.socket(socket.AF_UNIX) as test:
        test.connect(path)

        def tell(event: str, **facts: object) -> None:
            who = os.environ.get("MESHPACT_SERVICE", "")
            line = json.dumps({"who": who, "event": event, "pid": os.getpid(), **facts})
            test.sendall(line.encode() + b"\n")

        tell("began", environment={k: v for k, v in os.environ.items() if "MESHPACT" in k})
        try:
            with spiffe.WorkloadApiClient() as client:
                found = client.fetch_x509_context(timeout=30)
                domains = [str(each.trust_domain) for each in found.x509_bundle_set.bundles]
                tell("told", id=str(found.default_svid.spiffe_id), domains=sorted(domains))
        except FetchX509SvidError as error:
            tell("refused", words=str(error))
        match role:
            case "fail":
                return 3
            case "family":
                for apart in (False, True):
                    helper = [sys.executable, __file__, "once", path]
                    subprocess.run(helper, check=True, start_new_session=apart)
                tell("done")
            case "stay" | "serve":
                if role == "serve":
                    host, _, port = os.environ["MESHPACT_ADDRESS"].rpartition(":")
                    listener = socket.create_server((host, int(port)))
                    tell("listens", fd=listener.fileno())
                follow(tell)
            case _:
                pass
    return 0


def follow(tell: object) -> None:
    assert callable(tell)
    with spiffe.X509Source(timeout_in_seconds=30) as source:

        def updated() -> None:
            tell("updated", serial=f"{source.get_x509_context().default_svid.leaf.serial_number:x}")

        source.subscribe_for_updates(updated)
        updated()
        threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
