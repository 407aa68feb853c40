"""A server on the loopback interface, as well-behaved or as broken as a test wants it."""

import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

LOOPBACK = "127.0.0.1"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """As everywhere, but the loopback interface may be reached."""
    connect = socket.socket.connect

    def refuse(self, address):
        assert self.family == socket.AF_UNIX or address[0] == LOOPBACK, f"a test tried to reach the network: {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Site:
    """What the server has, and how it behaves.

    Args of a test: `content`; `ranges` (it understands Range), `etag`, `modified`; `cuts` (bytes after which the next responses
    are cut off), `lies` (it answers 206 with another part), `status` (it answers that, always), `sized` (it tells the length),
    `moved` (paths that lead to others), `raw` (bytes that it answers with, always).
    """

    def __init__(self):
        self.content = b""
        self.ranges = True
        self.etag = '"one"'
        self.modified = None
        self.cuts = []
        self.lies = False
        self.status = None
        self.sized = True
        self.moved = {}
        self.raw = None
        self.requests = []
        self.url = ""

    @property
    def sha256(self):
        return hashlib.sha256(self.content).hexdigest()

    @property
    def asked(self):
        """The Range header of each request."""
        return [headers.get("Range") for headers in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        site = self.server.site
        if self.path in site.moved:
            self.send_response(302)
            self.send_header("Location", site.moved[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if site.raw:
            self.wfile.write(site.raw)
            self.close_connection = True
            return
        site.requests.append(dict(self.headers))
        if site.status:
            self.send_error(site.status)
            return
        start = self._start(site)
        if start is not None and start >= len(site.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(site, start)

    def _start(self, site):
        asked, held = self.headers.get("Range"), self.headers.get("If-Range")
        if not asked or not site.ranges or held not in (None, site.etag, site.modified):
            return None
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _send(self, site, start):
        body = site.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            told = start + 1 if site.lies else start
            self.send_header("Content-Range", f"bytes {told}-{len(site.content) - 1}/{len(site.content)}")
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.modified:
            self.send_header("Last-Modified", site.modified)
        if site.sized:
            self.send_header("Content-Length", str(len(body)))
        cut = site.cuts.pop(0) if site.cuts else None
        self.close_connection = True
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])


@pytest.fixture
def site():
    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.site = Site()
    server.site.url = f"http://{LOOPBACK}:{server.server_address[1]}/set.tar.gz"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port():
    """An address nobody listens at."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        return f"http://{LOOPBACK}:{taken.getsockname()[1]}/set.tar.gz"


def _tar(members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as packed:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                packed.addfile(member, io.BytesIO(bytes(member.size)))
                continue
            name, data = member
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _zip(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members:
            packed.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def make_tar():
    return _tar


@pytest.fixture
def make_zip():
    return _zip
