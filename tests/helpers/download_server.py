"""An HTTP server on this machine that misbehaves as told."""

import contextlib
import dataclasses
import http.server
import threading
from collections.abc import Iterator


@dataclasses.dataclass
class Resource:
    """What the server has at a path, and how it gives it.

    Attributes:
      body: The bytes.
      ranges: Whether it can start in the middle.
      cuts: Number of bytes after which it drops the connection, one per request, from the first on.
      framing: How the end of the body is told: `length`, `chunked`, or `close` of the connection.
      etag: Name of this version.
      status: Another status than 200.
      claimed: Another length than that of the body.
      stall: It sends the bytes before a cut, and then nothing until this is set.
      requests: The headers of all requests so far.
    """

    body: bytes = b""
    ranges: bool = True
    cuts: list[int] = dataclasses.field(default_factory=list)
    framing: str = "length"
    etag: str | None = None
    status: int = 200
    claimed: int | None = None
    stall: threading.Event | None = None
    requests: list[dict[str, str]] = dataclasses.field(default_factory=list)

    @property
    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for headers in self.requests]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self):
        resource = self.server.resources.get(self.path.split("?")[0])
        if resource is None:
            self.send_error(404)
            return
        resource.requests.append(dict(self.headers))
        if resource.status != 200:
            self.send_error(resource.status)
            return
        start = self._start(resource)
        if start is not None and start >= len(resource.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(resource.body)}")
            self._end(resource, 0)
            return
        self.send_response(200 if start is None else 206)
        if start is not None:
            last = len(resource.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(resource.body)}")
        body = resource.body[start or 0 :]
        self._end(resource, len(body))
        cut = resource.cuts.pop(0) if resource.cuts else len(body)
        self._send(resource, body[:cut])
        if cut < len(body):
            if resource.stall is not None:
                resource.stall.wait(30)
        elif resource.framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")

    def _start(self, resource):
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, resource.etag)
        if asked is None or not resource.ranges or not same:
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _end(self, resource, length):
        if resource.etag is not None:
            self.send_header("ETag", resource.etag)
        if resource.framing == "length":
            self.send_header("Content-Length", str(resource.claimed or length))
        elif resource.framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, resource, body):
        with contextlib.suppress(ConnectionError):  # the client may leave
            if resource.framing == "chunked":
                self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
            else:
                self.wfile.write(body)
            self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """The server; `resources` maps paths to what it has there."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.resources: dict[str, Resource] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, path: str, body: bytes, **options) -> Resource:
        """Put a resource at a path."""
        self.resources[path] = Resource(body, **options)
        return self.resources[path]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Yield a server that runs in a thread."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
