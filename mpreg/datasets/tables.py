"""Parsers of the binary tables of the literature: Location-30, Purchase-100 and Texas-100.

Each takes `(paths, spec)` and returns `(features, labels)`: uint8 `(records, columns)` of 0 and 1, and int64
`(records,)` counted from 0 where the files count from 1. A row that does not fit is a ValueError that names
the file and the line.
"""

import re

import numpy as np

from mpreg.datasets.archives import tar_members

_BLOCK = 8 << 20  # bytes parsed at a time
_LONGEST_ROW = 1 << 20  # bytes; the longest real one has 12,337
_LABEL = re.compile(rb'"?(\d{1,9})"?')


def location(paths, spec):
    """Parses the member `bangkok`: rows `"12",0,1,0,...`."""
    return _labelled(paths, spec, member="bangkok")


def purchase(paths, spec):
    """Parses the member `dataset_purchase`: rows `12,0,1,0,...`."""
    return _labelled(paths, spec, member="dataset_purchase")


def texas(paths, spec):
    """Parses the members `100/feats`, rows `0,1,0,...`, and `100/labels`, a label a line."""
    (path,) = paths
    features = labels = None
    for name, stream in tar_members(path, wanted=("100/feats", "100/labels"), max_bytes=spec.max_bytes):
        if name == "100/feats":
            features, _ = _read(stream, spec, file=name, labelled=False)
        else:
            lines = enumerate(stream.read().splitlines(), 1)
            labels = np.array([_label(line, number, spec, name) for number, line in lines], np.int64)
    if len(features) != len(labels):
        raise ValueError(f"{path}: {len(features):,} rows in 100/feats but {len(labels):,} in 100/labels.")
    return features, labels


def _labelled(paths, spec, *, member):
    (path,) = paths
    for name, stream in tar_members(path, wanted=(member,), max_bytes=spec.max_bytes):
        result = _read(stream, spec, file=name, labelled=True)
    return result


def _read(stream, spec, *, file, labelled):
    """All rows of a table. As the bits have a fixed width and end the line, numpy reads blocks of rows."""
    columns = spec.shape[0]
    width = 2 * columns - 1
    bits, labels = bytearray(), []  # a bytearray grows in place: there is never a second copy of the table
    for first, lines in _blocks(stream, file):
        good = np.array([len(line) >= width for line in lines])
        if good.all():
            table = np.frombuffer(b"".join(line[-width:] for line in lines), np.uint8).reshape(-1, width)
            digits = table[:, ::2] - ord("0")  # uint8 wraps: all but the two digits become more than 1
            good = (digits <= 1).all(1) & (table[:, 1::2] == ord(",")).all(1)
        for number, (line, fine) in enumerate(zip(lines, good, strict=True), first):
            head = line[:-width]  # what stands before the bits: a label and a comma, or nothing
            if not fine or head.count(b",") != labelled or head[-1:] != (b"," if labelled else b""):
                _refuse(line, number, columns + labelled, labelled, file)
            if labelled:
                labels.append(_label(head[:-1], number, spec, file))
        bits += digits.tobytes()
    return np.frombuffer(bits, np.uint8).reshape(-1, columns), np.array(labels, np.int64)


def _blocks(stream, file):
    """Yields the number of the first line and a list of whole lines, a few megabytes at a time."""
    first, rest = 1, b""
    while chunk := stream.read(_BLOCK):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > _LONGEST_ROW:
            raise ValueError(
                f"{file}: after line {first} a line goes on for more than {_LONGEST_ROW:,} bytes."
            )
        if newline:
            lines = whole.replace(b"\r", b"").split(b"\n")
            yield first, lines
            first += len(lines)
    if rest := rest.replace(b"\r", b""):  # the last line may lack its newline
        yield first, [rest]


def _label(text, number, spec, file):
    match = _LABEL.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= spec.classes:
        raise ValueError(
            f"{file}, line {number}: the label must be a number from 1 to {spec.classes}. "
            f"Received: {text.decode(errors='replace')!r}"
        )
    return int(match[1]) - 1


def _refuse(line, number, expected, labelled, file):
    values = line.split(b",")
    if len(values) != expected:
        raise ValueError(f"{file}, line {number}: expected {expected} values. Received: {len(values)}")
    column, value = next((i, v) for i, v in enumerate(values, 1) if i > labelled and v not in (b"0", b"1"))
    raise ValueError(
        f"{file}, line {number}, column {column}: a feature must be 0 or 1. "
        f"Received: {value.decode(errors='replace')!r}"
    )
