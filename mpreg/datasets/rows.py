"""`split.npz`: the rows of a data file in each role, kept beside the models trained on them."""

import io

import numpy as np

from mpreg._files import write_all
from mpreg._text import listed
from mpreg.datasets.archives import most_bytes, read_npz

ROLES = ("members", "reference", "nonmembers")


def write_rows(path, rows, *, digest):
    """Writes the rows of each role, counted from 0.

    Args:
        path: of the `.npz` file.
        rows: arrays of indices of members, reference (or None) and non-members.
        digest: of the file whose rows they are, as `OwnFile` has it.
    """
    arrays = {role: part for role, part in zip(ROLES, rows, strict=True) if part is not None}
    file = io.BytesIO()
    np.savez_compressed(file, digest=np.asarray(digest), **arrays)
    write_all(path.parent, {path.name: file.getvalue()})


def read_rows(path, *, digest, records):
    """Reads the rows of each role from a file of `write_rows`.

    Raises:
        ValueError: no such file, or one of another data file.
    """
    arrays = read_npz(path, max_bytes=most_bytes())
    if not {"members", "nonmembers", "digest"} <= set(arrays):
        raise ValueError(
            f"{path} must hold the arrays members, nonmembers and digest. Received: {listed(arrays)}"
        )
    if str(arrays["digest"]) != digest:
        raise ValueError(
            f"{path} is of another data file, or that has changed since: its rows mean other records now"
        )
    rows = {role: arrays[role] for role in ROLES if role in arrays}
    for role, part in rows.items():
        if (
            part.dtype.kind not in "iu"
            or part.ndim != 1
            or (len(part) and not 0 <= part.min() <= part.max() < records)
        ):
            raise ValueError(f"{path}: {role} must be rows from 0 to {records - 1}. Received: {part!r}")
    return rows
