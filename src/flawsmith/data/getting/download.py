"""Downloading a large file over HTTP: it goes on where it stopped, and says in one line what is wrong.

RFC 9110 §13.1.5 and §14: a part is continued with `Range` only under `If-Range` with the server's strong ETag or its date, so
that two versions of a file are never joined; a server that cannot, or whose file has changed, answers 200 and the download starts
over.
"""

from __future__ import annotations

import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flawsmith.core.errors import BadParameter, DamagedFile, DownloadError
from flawsmith.core.files import output_errors, read_json, write_json
from flawsmith.core.progress import track

CHUNK = 1 << 20
TIMEOUT_SECONDS = 60.0
ATTEMPTS = 5
LONGEST_REASON = 200
HTTP_OK, HTTP_PARTIAL, HTTP_RANGE = 200, 206, 416


def check_url(url: str) -> None:
    """Refuse an address that is not http or https, or names a user: addresses are shown, and kept beside a part.

    Raises:
        BadParameter: another scheme, no host, no such port, letters that an address has not, or a user's name or password.
    """
    shown = re.sub(r"^([^/?#]*//)?[^/?#]*@", r"\1…@", url)
    if shown != url:
        raise BadParameter(
            f"--url is {shown!r}, with a user's name or password, which would be shown and kept; expected an address without: "
            f"fetch the archive yourself, and unpack it"
        )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise BadParameter(
            f"--url is {url!r}; expected an address that starts with http:// or https://, with %20 and the like for other letters"
        )


@dataclass(frozen=True)
class _State:
    """What is known of the file that a part belongs to."""

    url: str
    validator: str
    size: int | None


Response = http.client.HTTPResponse | urllib.error.HTTPError


class _Cut(Exception):
    """The connection ended early; what came is kept."""


def download(url: str, file: Path, most: int, *, attempts: int = ATTEMPTS, pause: Callable[[float], None] = time.sleep) -> None:
    """Fetch `url` into `file`, going on with what an earlier call left in it.

    Args:
        url: http or https.
        file: where it goes; `file` with the suffix `.json` beside it says what the part belongs to.
        most: bytes at most.
        attempts: how often a connection that was cut is taken up again within this call.
        pause: waits that many seconds.

    Raises:
        DownloadError: no connection, an error of the server, cut off too often, or more than `most` bytes.
        OutputError: the disk refuses, or is too small.
    """
    check_url(url)
    with output_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(attempts):
        before = _size(file)
        try:
            return _go_on(url, file, most)
        except _Cut as error:
            if attempt + 1 == attempts:
                again = "run the same command again" + (", it goes on where it stopped" if resumable(file) else "")
                raise DownloadError(f"{_host(url)} stopped sending ({error}); expected the whole file: {again}") from error
            pause(1.0 if _size(file) > before else 2.0**attempt)


def _go_on(url: str, file: Path, most: int) -> None:
    state, have = _state_of(url, file), _size(file)
    if state is not None and have and have == state.size:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "flawsmith"}
    if state is not None and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": state.validator}
    with _connection(url, headers) as response:
        start = have if response.status == HTTP_PARTIAL and _continues(response, have, state) else 0
        if response.status == HTTP_PARTIAL and not start:
            forget(file)
            raise _Cut("it sent another part than was asked for")
        if response.status == HTTP_RANGE:
            forget(file)
            raise _Cut("the file there has changed")
        size = _announced(response, start)
        _refuse_size(url, size, most)
        _refuse_disk(file, size, start)
        with output_errors(file):
            _remember(url, file, response, size)
            _receive(response, file, start, size, most)


def _continues(response: Response, have: int, state: _State | None) -> bool:
    """Whether a 206 is the rest of what is there."""
    given, _, total = (response.headers.get("Content-Range") or "").removeprefix("bytes ").partition("/")
    same = state is not None and (not total.isdecimal() or state.size in (None, int(total)))
    return same and given.partition("-")[0] == str(have)


def _announced(response: Response, start: int) -> int | None:
    length = response.headers.get("Content-Length") or ""
    return start + int(length) if length.isdecimal() else None


def _refuse_size(url: str, size: int | None, most: int) -> None:
    if size is not None and size > most:
        raise DownloadError(
            f"{_host(url)} offers {size / 1e9:.1f} GB; expected at most {most / 1e9:.1f} GB for this data set: check --url"
        )


def _refuse_disk(file: Path, size: int | None, start: int) -> None:
    with output_errors(file):
        free = shutil.disk_usage(file.parent).free
    if size is not None and size - start > free:
        raise DownloadError(
            f"{file.parent.parent} has {free / 1e9:.1f} GB free, {(size - start) / 1e9:.1f} GB are still to come; expected room "
            f"for them and for what they unpack to: free some space or choose another --out"
        )


def _receive(response: Response, file: Path, start: int, size: int | None, most: int) -> None:
    total = None if size is None else -(-(size - start) // CHUNK)
    with file.open("ab" if start else "wb") as part:
        for chunk in track(_chunks(response), "download (MiB)", total=total):
            part.write(chunk)
            if part.tell() > most:
                break
        have = part.tell()
    if have > most:
        forget(file)
        raise DownloadError(f"the download is larger than {most / 1e9:.1f} GB; expected the data set: check --url")
    if size is not None and have < size:
        raise _Cut(f"{have} of {size} bytes came")


def _chunks(response: Response) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK)
        except http.client.IncompleteRead as error:
            yield error.partial
            raise _Cut("the connection was closed") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(_reason(error)) from error
        if not chunk:
            return
        yield chunk


@contextmanager
def _connection(url: str, headers: dict[str, str]) -> Iterator[Response]:
    request = urllib.request.Request(url, headers=headers)
    try:
        response: Response = _opener().open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != HTTP_RANGE:
            raise DownloadError(
                f"{url} answers {error.code} {_told(error.reason)}; expected the archive: the address may have changed, see the "
                f"data set's home, or give a mirror with --url"
            ) from error
        response = error
    except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:  # ValueError: where it is sent on to
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DownloadError(
            f"cannot reach {_host(url)} ({_reason(reason)}); expected a network connection: try again later, give a mirror with "
            f"--url, or get the data set by hand"
        ) from error
    with response:
        yield response


def _opener() -> urllib.request.OpenerDirector:
    """Only http and https, and the proxies of the environment; no file and no ftp, by no redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _remember(url: str, file: Path, response: Response, size: int | None) -> None:
    etag = response.headers.get("ETag") or ""
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified") or ""
    write_json(_state_file(file), asdict(_State(url, validator, size)))


def _state_of(url: str, file: Path) -> _State | None:
    """What a part of this address belongs to; None where it cannot be gone on with."""
    state = _kept_state(file)
    return state if state is not None and state.url == url else None


def _kept_state(file: Path) -> _State | None:
    try:
        found: Any = read_json(_state_file(file))
        state = _State(str(found["url"]), str(found["validator"]), found["size"])
    except (DamagedFile, KeyError, TypeError):
        return None
    return state if state.validator or state.size == _size(file) else None


def resumable(file: Path) -> bool:
    """Whether a later call can go on with what is in `file`, from the address that it came from."""
    return _size(file) > 0 and _kept_state(file) is not None


def forget(file: Path) -> None:
    """Remove a part and what was known of it."""
    with output_errors(file):
        file.unlink(missing_ok=True)
        _state_file(file).unlink(missing_ok=True)


def _state_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return _told(error.strerror)
    return _told(str(error)) or type(error).__name__


def _told(text: str) -> str:
    """What a server may have written, in one line and without its control characters."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in " ".join(text.split()))[:LONGEST_REASON]
