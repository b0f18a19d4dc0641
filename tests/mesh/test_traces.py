"""Traces leave a mesh by OTLP, and arrive whole at whoever speaks that protocol."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from upmesh import MESH, Up, meshpact, write_mesh

DEMO = "demo.v1.DemoService"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes what exporters send (opentelemetry.proto.collector.trace.v1.TraceService)."""

    def __init__(self) -> None:
        self.requests: queue.SimpleQueue[pb.ExportTraceServiceRequest] = queue.SimpleQueue()
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        export = grpc.unary_unary_rpc_method_handler(
            self._export,
            pb.ExportTraceServiceRequest.FromString,
            pb.ExportTraceServiceResponse.SerializeToString,
        )
        name = "opentelemetry.proto.collector.trace.v1.TraceService"
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"Export": export}),)
        )
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def _export(
        self, request: pb.ExportTraceServiceRequest, _: grpc.ServicerContext
    ) -> pb.ExportTraceServiceResponse:
        self.requests.put(request)
        return pb.ExportTraceServiceResponse()

    def spans(self) -> Iterator[tuple[str, Span]]:
        """(service, span) as they come, each within a minute."""
        while True:
            for resource in self.requests.get(timeout=60).resource_spans:
                service = {each.key: each.value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield service["service.name"].string_value, span


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    running.server.start()
    yield running
    running.server.stop(None).wait()


def test_a_call_leaves_a_server_span_that_joins_its_callers_trace(
    tmp_path: Path, collector: Collector
) -> None:
    text = f'{MESH}\ntelemetry:\n  otlp_endpoint: "{collector.address}"\n  sample_ratio: 0\n'
    write_mesh(tmp_path, text)
    call = ("call", f"{DEMO}/Echo", "-d", '{"text": "x"}')
    with Up(tmp_path) as up:
        up.ready()
        unsampled = meshpact(tmp_path, *call, "--as", "caller")
        assert unsampled.returncode == 0, unsampled.stderr
        for caller, code in (("caller", 0), ("stranger", 64 + 7)):
            header = f"traceparent: 00-{TRACE_ID}-{SPAN_ID}-01"
            assert meshpact(tmp_path, *call, "--as", caller, "-H", header).returncode == code
        spans = collector.spans()
        seen = [next(spans), next(spans)]
    for service, span in seen:
        assert service == "alpha"
        assert span.trace_id.hex() == TRACE_ID
        assert span.parent_span_id.hex() == SPAN_ID
        assert span.name == f"{DEMO}/Echo"
        assert span.kind == Span.SPAN_KIND_SERVER
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
    told = [{each.key: each.value.string_value for each in span.attributes} for _, span in seen]
    common = {"rpc.system.name": "grpc", "rpc.method": f"{DEMO}/Echo"}
    assert told[0] == common | {"rpc.response.status_code": "OK"}
    assert told[1] == common | {
        "rpc.response.status_code": "PERMISSION_DENIED",
        "error.type": "ROLE_MISSING",
    }
