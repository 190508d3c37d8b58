"""Downloads that yield either the whole file with the right hash, or nothing."""

import contextlib
import hashlib
import http.client
import os
import sys
import urllib.request

from mpreg._files import replacing

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds of silence


def fetch(source, *, name, cache, max_bytes):
    """Downloads one file of the data set `name` into the folder `cache` and returns its path.

    Raises:
        ConnectionError: if the download fails; it says where to put a file fetched by other means.
        ValueError: if what arrived has the wrong hash, or goes on past `max_bytes`. Nothing of it is kept.
    """
    path = cache / source.file
    with replacing(path) as part:
        _receive(source, part, name=name, max_bytes=max_bytes)
        verify(part, source, advice=f"It came from {source.url} and was not kept.")
    return path


def verify(path, source, *, advice):
    """Raises a ValueError that quotes both hashes, and the advice, unless the file is the published one."""
    algorithm, _, expected = source.digest.partition(":")
    received = checksum(path, algorithm)
    if received != expected:
        raise ValueError(
            f"{source.file} has the wrong {algorithm} hash. "
            f"Expected: {expected}. Received: {received}. {advice}"
        )


def checksum(path, algorithm):
    """The hexadecimal hash of a file by `"sha256"` or by `"git-blob"`, the id that git gives to a content."""
    if algorithm == "git-blob":
        # git hashes the length first, and a server need not announce it: so a file is hashed once it is whole
        digest = hashlib.sha1(b"blob %d\0" % os.path.getsize(path), usedforsecurity=False)
    else:
        digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _receive(source, part, *, name, max_bytes):
    request = urllib.request.Request(source.url, headers={"User-Agent": "mpreg"})
    received = 0
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            announced = int(response.headers.get("Content-Length") or 0)
            with open(part, "wb") as file, _progress(source.file, announced) as advance:
                while chunk := response.read(_CHUNK):
                    received += len(chunk)
                    if received > max_bytes:
                        raise ValueError(f"{source.url} sends more than {max_bytes:,} bytes; refused.")
                    file.write(chunk)
                    advance(len(chunk))
            if received < announced:
                raise ConnectionError(f"the connection broke after {received:,} of {announced:,} bytes")
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(
            f"Could not download the data set {name!r} from {source.url}: {error}. "
            f"Without a network: put the file {source.file!r} into a folder and set the environment variable "
            "MPREG_DATA_DIR to that folder."
        ) from error


@contextlib.contextmanager
def _progress(label, announced):
    """Gives a function of bytes received: a bar on a terminal, silence in a log file."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=announced or None)
        yield lambda count: bar.advance(task, count)
