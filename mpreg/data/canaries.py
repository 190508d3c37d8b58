"""Canaries: planted records that stand out, to measure what a model reveals about the most exposed person."""

from dataclasses import dataclass, field

import numpy as np

from mpreg._validate import check_count, short_repr
from mpreg.data.augmentations import is_image
from mpreg.data.duplicates import digest_records, first_equal
from mpreg.data.labels import ONE, label_indices
from mpreg.data.randomize import Randomize
from mpreg.data.records import flatten, map_arrays
from mpreg.data.split import MembershipSplit

KINDS = ("mislabelled", "out-of-distribution", "twins")
TURNED = 3  # features by which twins differ
MIN_OTHERS = 2  # records a side that must be left, for the attacks on the other records
TRIES = 20  # draws of a record that must not equal another


@dataclass(frozen=True, eq=False)
class Canaries:
    """Holds which records of a split are canaries.

    Attributes:
        kind: `"mislabelled"`, `"out-of-distribution"` or `"twins"`.
        members: their rows among the members, int (count,), ascending; of twins, each two in turn are a pair.
        nonmembers: and among the non-members, as many.
    """

    kind: str
    members: np.ndarray = field(repr=False)
    nonmembers: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.members)

    def __str__(self):
        return f"{len(self)} {self.kind} canaries a side"


def plant_canaries(
    split: MembershipSplit, count: int, kind: str = "mislabelled", seed: int = 0
) -> MembershipSplit:
    """Returns a split in which `count` members and as many non-members are canaries, learnt only by memorization.

    Average figures hide the few records that stand out, which most models memorize. Canaries represent them: train on
    the members of the returned split, and `mpreg.evaluate` judges the canaries in a section of their own
    (`report.canaries`), while all other figures exclude them. A model trained on canaries is not the one that is
    served: the figures describe what this way of training reveals about the most exposed person. Callbacks such as
    `PrivacyMeter` do not distinguish canaries from other records.

    Canaries replace records drawn at random on each side, none of which has a copy in the split; the reference, all
    other records and the form of the labels are unchanged.

    Kinds:
        - `"mislabelled"`: a record with another of the classes that occur, each as likely.
        - `"out-of-distribution"`: in a table, each feature drawn from that of another record, independently of all
          others; in images, (n, height, width[, channels]), noise between the least and the greatest value. The label
          stays.
        - `"twins"`: pairs of records that differ in few features, three if there are so many, and have the same wrong
          label. Both stand on one side, and figures count a pair once.

    Source: Aerni, Zhang & Tramèr, "Evaluations of Machine Learning Privacy Defenses are Misleading", CCS 2024.

    Args:
        split: a `MembershipSplit`.
        count: canaries a side, at least 2, for twins 4 and even; two other records must be left on each.
        kind: one of the three.
        seed: of the draw.

    Returns:
        A `MembershipSplit` with `canaries`, a `Canaries`.

    Raises:
        ValueError: too few records for so many canaries, one class only, features that no such canary can be made of,
            or a split that has canaries already.
        TypeError: a split that is none.

    Example:
    ```python
    planted = mpreg.plant_canaries(split, 100, seed=0)
    model.fit(*planted.members, epochs=30)
    print(mpreg.evaluate(model, planted).canaries)
    ```
    """
    _check(split, count, kind, seed)
    rng = np.random.default_rng(seed)
    sides = split.members, split.nonmembers
    free = _without_copies(split)
    for role, rows, (_, y) in zip(("members", "non-members"), free, sides, strict=True):
        if count > min(len(rows), len(y) - MIN_OTHERS):
            raise ValueError(
                f"count must leave {MIN_OTHERS} {role} that are no canaries, and canaries take the place of records "
                f"without a copy in the split: there are {len(y):,} {role}, {len(rows):,} of them without. "
                f"Received: count={count}"
            )
    rows = [np.sort(rng.choice(own, count, replace=False)) for own in free]
    planted = [_planted(side, own, kind, split, rng) for side, own in zip(sides, rows, strict=True)]
    if kind != "mislabelled":
        planted = _made_distinct(planted, rows, kind, split, rng)
    return MembershipSplit(
        planted[0],
        split.reference,
        planted[1],
        duplicates="allow" if split.duplicates == "allow" else "error",
        canaries=Canaries(kind, *rows),
        columns=split.columns,
    )


def _check(split, count, kind, seed):
    if not isinstance(split, MembershipSplit):
        raise TypeError(f"split must be an mpreg.MembershipSplit. Received: {short_repr(split)}")
    if split.decisions != ONE:
        raise ValueError(
            "canaries are planted among records of one class each. Received: a split with "
            f'decisions="{split.decisions}"'
        )
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    check_count("count", count, 2)
    check_count("seed", seed, 0)
    if kind == "twins" and count % 2:
        raise ValueError(f"count must be even, for twins are pairs. Received: count={count}")
    if kind == "twins" and count < 4:
        raise ValueError(
            f"count must be at least 4 for twins, of which two pairs can be judged. Received: count={count}"
        )
    if split.canaries is not None:
        raise ValueError(f"the split has canaries already: {split.canaries}. Plant them in the split without")
    if kind != "out-of-distribution" and len(_classes(split)) < 2:
        raise ValueError(
            f"{kind} canaries need a wrong class to be labelled as, but all records are of class {_classes(split)[0]}"
        )
    if kind != "mislabelled" and any(array.dtype.kind not in "biuf" for array in flatten(split.members[0])):
        raise ValueError(
            f"{kind} canaries are made of features that are numbers. Received: text. Use kind='mislabelled'"
        )


def _classes(split):
    return np.unique(np.concatenate([label_indices(y) for _, y in (split.members, split.nonmembers)]))


def _without_copies(split):
    """Rows of members and of non-members whose features no other record of the split has."""
    roles = [role for role in (split.members, split.nonmembers, split.reference) if role is not None]
    first = first_equal(np.concatenate([digest_records(x) for x, _ in roles]))
    alone = np.bincount(first, minlength=len(first))[first] == 1
    members, nonmembers = (len(y) for _, y in roles[:2])
    return np.flatnonzero(alone[:members]), np.flatnonzero(alone[members : members + nonmembers])


def _planted(side, rows, kind, split, rng):
    """One side, `(x, y)`, with canaries in these rows."""
    x, y = side
    if kind == "out-of-distribution":
        return _with_rows(x, rows, _unlike(split.members[0], len(rows), rng)), y
    y = y.copy()
    wrong = _wrong_labels(label_indices(y[rows]), _classes(split), rng)
    if kind == "twins":
        wrong = np.repeat(wrong[::2], 2)
        x = _with_rows(x, rows[1::2], _turned(x, rows[::2], split.members[0], rng))
    y[rows] = _like(wrong, y)
    return x, y


def _made_distinct(planted, rows, kind, split, rng):
    """Both sides, with canaries drawn anew that equal another record: that record would tell of them."""
    for _ in range(TRIES):
        bad = _copied(planted, split.reference)
        bad = [np.intersect1d(own, copied) for own, copied in zip(rows, bad, strict=True)]
        if not any(map(len, bad)):
            return planted
        for number, own in enumerate(bad):
            if len(own):
                planted[number] = _drawn_anew(planted[number], rows[number], own, kind, split, rng)
    raise ValueError(
        f"{kind} canaries that equal no other record were not found in {TRIES} draws: the features take too few "
        "values. Use kind='mislabelled', or fewer canaries"
    )


def _drawn_anew(side, rows, bad, kind, split, rng):
    """One side, with other canaries in the `bad` ones of their rows; of twins the second of a pair is drawn again."""
    x, y = side
    if kind == "out-of-distribution":
        return _with_rows(x, bad, _unlike(split.members[0], len(bad), rng)), y
    first = np.unique(np.searchsorted(rows, bad) // 2 * 2)
    return _with_rows(x, rows[first + 1], _turned(x, rows[first], split.members[0], rng)), y


def _copied(planted, reference):
    """Rows of both sides that equal another record."""
    roles = [*planted, reference] if reference is not None else planted
    first = first_equal(np.concatenate([digest_records(x) for x, _ in roles]))
    copied = np.bincount(first, minlength=len(first))[first] > 1
    members, nonmembers = (len(y) for _, y in planted)
    return np.flatnonzero(copied[:members]), np.flatnonzero(copied[members : members + nonmembers])


def _wrong_labels(labels, classes, rng):
    """Another of the classes for each label, each as likely."""
    at = np.searchsorted(classes, labels)
    return classes[(at + rng.integers(1, len(classes), len(labels))) % len(classes)]


def _like(labels, y):
    """Class indices in the form of `y`: one-hot, in a column or flat, of its type."""
    if y.ndim == 2 and y.shape[1] > 1:
        return (labels[:, None] == np.arange(y.shape[1])).astype(y.dtype)
    return labels.astype(y.dtype).reshape(-1, *y.shape[1:])


def _with_rows(x, rows, values):
    """Records with others in some rows; what is passed in is not changed."""
    columns = iter(flatten(values))

    def replaced(array):
        array = array.copy()
        array[rows] = next(columns)
        return array

    return map_arrays(replaced, x)


def _unlike(x, count, rng):
    """So many records out of the distribution of `x`."""

    def drawn(array):
        if is_image(array):
            return Randomize.like(array).draw(count, rng)
        table = array.reshape(len(array), -1)
        chosen = rng.integers(len(table), size=(count, table.shape[1]))
        return table[chosen, np.arange(table.shape[1])].reshape(count, *array.shape[1:])

    return map_arrays(drawn, x)


def _turned(x, rows, values, rng):
    """Copies of the records in these rows, a few features of each changed to what another of `values` has there."""
    tables = [array.reshape(len(array), -1) for array in flatten(values)]
    places = [(part, int(at)) for part, table in enumerate(tables) for at in _varying(table)]
    copies = [array[rows].reshape(len(rows), -1) for array in flatten(x)]
    for row in range(len(rows)):
        for chosen in rng.choice(len(places), min(TURNED, len(places)), replace=False):
            part, at = places[chosen]
            column = tables[part][:, at]
            others = column[column != copies[part][row, at]]
            copies[part][row, at] = others[rng.integers(len(others))]
    columns = iter(copies)
    return map_arrays(lambda array: next(columns).reshape(len(rows), *array.shape[1:]), x)


def _varying(table):
    """Columns that hold more than one value."""
    return np.flatnonzero(table.min(axis=0) != table.max(axis=0))
