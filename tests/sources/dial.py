"""A program of these tests that `meshpact up` starts: calls `alpha` with what the mesh's own
Workload API says it is, at once and after each rotation, and tells the test how it went."""

import json
import os
import socket
import sys
import threading

from demo.v1 import demo_mesh, demo_pb2
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.workloadapi import WorkloadApiSource
from meshpact.clients import ChannelSync


def main() -> None:
    alpha = json.loads(os.environ["MESHPACT_SERVICES"])["alpha"]
    with socket.socket(socket.AF_UNIX) as test, WorkloadApiSource(wait=60) as source:
        test.connect(sys.argv[1])
        rotated = threading.Event()
        source.subscribe(rotated.set)
        while True:
            rotated.clear()
            svid = source.current().svid
            channel = ChannelSync(
                alpha["address"], identity=source, callee=SpiffeId.parse(alpha["id"])
            )
            client = demo_mesh.DemoServiceClientSync(channel)
            answer = client.echo(demo_pb2.EchoRequest(text="hi"), timeout=30)
            channel.close()
            facts = {"id": str(svid.id), "serial": f"{svid.serial:x}", "answer": answer.text}
            line = {"who": os.environ["MESHPACT_SERVICE"], "event": "called", **facts}
            test.sendall(json.dumps(line).encode() + b"\n")
            rotated.wait()


if __name__ == "__main__":
    main()
