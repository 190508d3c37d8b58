"""Safe readers of archives: no unpickling, no extraction to disk, a limit on the unpacked size."""

import gzip
import lzma
import math
import os
import struct
import tarfile
import tokenize
import zipfile
import zlib
from pathlib import PurePosixPath

import numpy as np

DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError)
# What Python's readers raise for files that are encrypted, of an unknown method, or made to be wrong.
MADE_UP = (
    RuntimeError,  # NotImplementedError and RecursionError are of its kind
    LookupError,
    TypeError,
    SyntaxError,
    OverflowError,
    MemoryError,
    struct.error,
    tokenize.TokenError,
    lzma.LZMAError,
)


def tar_members(path, *, wanted, max_bytes):
    """Yields `(wanted name, stream)` for members of a gzipped tar file, in file order.

    A member is wanted if its path ends in a wanted name, which may have folders: `"100/feats"`. Read each
    stream before taking the next. Members of other names are skipped; so are those with an absolute path or a
    `..` in it.

    Raises:
        ValueError: if a wanted member is missing or is not a regular file, or the archive unpacks to more
            than `max_bytes`. A damaged archive is one of `DAMAGE`, here or while a stream is read.
    """
    missing = set(wanted)
    with gzip.open(path) as raw, tarfile.open(fileobj=_Bounded(raw, max_bytes, path), mode="r|") as archive:
        for member in archive:
            name = _match(member.name, missing)
            if name is None:
                continue
            # A link could lead anywhere; a sparse file of a few bytes stands for any number of zeros.
            if not member.isreg() or member.issparse():
                raise ValueError(f"{path}: member {member.name!r} is not a regular file; refused.")
            if member.size > max_bytes:
                raise ValueError(f"{path} unpacks to more than {max_bytes:,} bytes; refused.")
            missing.remove(name)
            yield name, archive.extractfile(member)
            if not missing:
                return
    raise ValueError(f"{path} has no member {', '.join(sorted(missing))}.")


def _match(name, wanted):
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts:
        return None
    for candidate in wanted:
        tail = PurePosixPath(candidate).parts
        if parts[-len(tail) :] == tail:
            return candidate
    return None


class _Bounded:
    """A stream that fails past a number of bytes: it bounds headers and skipped members too."""

    def __init__(self, raw, max_bytes, path):
        self.raw, self.left = raw, max_bytes
        self.error = f"{path} unpacks to more than {max_bytes:,} bytes; refused."

    def read(self, size):
        data = self.raw.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(self.error)
        return data


def read_npz(path, *, max_bytes):
    """Returns the arrays of an `.npz` file, by name.

    Raises:
        ValueError: if the file is damaged or encrypted, holds Python objects (which would have to be unpickled) or
            unpacks to more than `max_bytes`, or an array says that it is larger than what is there of it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_size(archive, max_bytes)
            return dict(_arrays(archive))
    except (ValueError, *DAMAGE, *MADE_UP) as error:
        raise ValueError(f"{path} cannot be read as an .npz file: {error or type(error).__name__}") from error


def read_npy(path):
    """Returns the array of an `.npy` file.

    Raises:
        ValueError: if the file is damaged, holds Python objects, or says that its array is larger than it is.
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            _check_header(stream, str(path), os.fstat(stream.fileno()).st_size)
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, *DAMAGE, *MADE_UP) as error:
        raise ValueError(f"{path} cannot be read as an .npy file: {error or type(error).__name__}") from error


def most_bytes():
    """Returns the limit on a file's unpacked size: half of the machine's memory, or 16 GiB if unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # such as on Windows
        return 16 << 30


def check_size(archive, max_bytes):
    """Raises a `ValueError` if a zip file declares more than `max_bytes` unpacked."""
    size = sum(member.file_size for member in archive.infolist())
    if size > max_bytes:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {max_bytes:,}")


def _arrays(archive):
    for member in archive.infolist():
        if not member.filename.endswith(".npy"):
            continue
        with archive.open(member) as stream:
            _check_header(stream, member.filename, member.file_size)
        with archive.open(member) as stream:
            yield member.filename.removesuffix(".npy"), np.lib.format.read_array(stream, allow_pickle=False)


def _check_header(stream, name, size):
    """Memory is taken for what a header says before a byte is read: it may say no more than there is."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{name} is of version {version}, which plain arrays are not")
    shape, _, kind = readers[version](stream)
    if min(shape, default=0) < 0 or math.prod(shape) * max(kind.itemsize, 1) > size:
        raise ValueError(f"{name} says that it has shape {shape}, but holds {size:,} bytes")
