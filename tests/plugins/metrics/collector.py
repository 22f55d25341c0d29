"""A collector for tests: a real HTTP server that reads OTLP's protobuf, and can be slow or refuse."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What came. ``status`` is what it answers; while ``open`` is not set, it answers nothing."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.fields: list[dict[str, str]] = []
        self.resources: list[dict[str, Any]] = []
        self.spans: list[Any] = []
        self.metrics: list[list[Any]] = []

    def took(self, path: str, fields: dict[str, str], body: bytes) -> None:
        """Read a request."""
        self.fields.append(fields)
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(attributes(resource.resource))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        else:
            assert path == "/v1/metrics", path
            for one in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics.append([metric for scope in one.scope_metrics for metric in scope.metrics])


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the end of the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.open.wait(30)
            if collector.status == 200:
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.took(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield collector
        finally:
            collector.open.set()
            server.shutdown()
            thread.join()


def attributes(one: Any) -> dict[str, Any]:
    """Attributes of a span, a resource or a point, as plain values."""
    return {pair.key: _value(pair.value) for pair in one.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
