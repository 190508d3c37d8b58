"""Who is a member: the split of the records into members, reference and non-members."""

import hashlib
from dataclasses import dataclass

import numpy as np

ROLES = ("members", "reference", "nonmembers")
DUPLICATES = ("error", "drop", "allow")


@dataclass(frozen=True)
class MembershipSplit:
    """Records by role: members train the model, reference records may serve a defence, non-members do neither.

    Each role is a pair `(x, y)`: `x` one array with a record in each row (or a dict, list or tuple of such
    arrays, for a model with several inputs), `y` integer labels (n,) or (n, 1), or one-hot labels
    (n, classes). A finite `tf.data.Dataset` of `(x, y)` is read into arrays; what is passed in is never
    changed.

    A record that stands in two roles would make every figure wrong, so records with equal features in two
    roles are an error that counts and names them. `duplicates="drop"` removes the later copies instead (members keep
    theirs, then reference), `"allow"` keeps them all: choose it only where distinct people have equal records.

    Args:
        members: records that the target is trained on.
        reference: non-members that a defence may use; None where no defence needs them.
        nonmembers: records kept for measuring.
        duplicates: `"error"`, `"drop"` or `"allow"`.

    Raises:
        ValueError: an empty role, unequal lengths, NaN, labels that are not class indices or one-hot, shapes or
            label kinds that differ between roles, or duplicates across roles.

    Example:
    ```python
    split = mpreg.MembershipSplit.from_arrays(x, y, members=1500, reference=1500, seed=0)
    model.fit(*split.members)
    ```
    """

    members: tuple
    reference: tuple | None
    nonmembers: tuple
    duplicates: str = "error"

    def __post_init__(self):
        if self.duplicates not in DUPLICATES:
            raise ValueError(f"duplicates must be one of {DUPLICATES}. Received: {self.duplicates!r}")
        for role in ROLES:
            pair = getattr(self, role)
            if pair is not None or role != "reference":
                object.__setattr__(self, role, check_pair(pair, role))
        roles = {role: getattr(self, role) for role in ROLES if getattr(self, role) is not None}
        _check_same_kind(roles)
        if self.duplicates != "allow":
            for role, pair in _without_duplicates(roles, drop=self.duplicates == "drop").items():
                object.__setattr__(self, role, pair)

    @classmethod
    def from_arrays(cls, x, y, *, members, reference, seed, nonmembers=None, duplicates="error"):
        """Draws the roles at random: `members` and `reference` records, and the rest (or `nonmembers` of it).

        Args:
            x: one array of records, or a dict, list or tuple of arrays with as many rows.
            y: integer labels (n,) or (n, 1), or one-hot labels (n, classes).
            members: number of members, at least 1.
            reference: number of reference records, 0 for none.
            seed: seed of the draw; the same seed gives the same split.
            nonmembers: number of non-members; None takes all that are left.
            duplicates: as for the class. With `"drop"`, copies are removed before the draw.

        Raises:
            ValueError: the numbers asked for do not leave one non-member, or as for the class.
        """
        x, y = check_pair((x, y), "records")
        rows = np.arange(len(y))
        if duplicates == "drop":
            rows = np.unique(_digests(x), return_index=True)[1]
            rows.sort()
        counts = {"members": members, "reference": reference}
        if nonmembers is not None:
            counts["nonmembers"] = nonmembers
        for name, count in counts.items():
            least = 0 if name == "reference" else 1
            if not isinstance(count, int | np.integer) or count < least:
                raise ValueError(
                    f"{name} must be a whole number, at least {least}. Received: {name}={count!r}"
                )
        needed = members + reference + (nonmembers or 1)
        if needed > len(rows):
            raise ValueError(
                f"there are {len(rows):,} distinct records, but members={members}, reference={reference} and "
                f"nonmembers={nonmembers or 'at least 1'} need {needed:,}. Ask for fewer"
            )
        rows = np.random.default_rng(seed).permutation(rows)
        end = None if nonmembers is None else needed
        parts = (rows[:members], rows[members : members + reference], rows[members + reference : end])
        chosen, kept, rest = (take((x, y), part) for part in parts)
        return cls(chosen, kept if reference else None, rest, duplicates=duplicates)

    def __repr__(self):
        sizes = ", ".join(
            f"{role}={len(getattr(self, role)[1]):,}" if getattr(self, role) is not None else f"{role}=None"
            for role in ROLES
        )
        return f"MembershipSplit({sizes})"


def check_pair(pair, role):
    """Arrays `(x, y)` of a pair or of a finite `tf.data.Dataset`, checked.

    Raises:
        ValueError: not a pair, no records, unequal lengths, NaN or infinite features, labels that are
            not class indices or one-hot.
    """
    if hasattr(pair, "element_spec"):
        pair = _read_dataset(pair, role)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(
            f"{role} must be a pair (x, y) or a tf.data.Dataset of (x, y). Received: {_brief(pair)}"
        )
    x, y = map_arrays(np.asarray, pair[0]), np.asarray(pair[1])
    arrays = flatten(x)
    if not arrays or any(array.ndim == 0 for array in arrays) or y.ndim == 0:
        raise ValueError(f"{role} must hold arrays with a record in each row. Received: {_brief(pair)}")
    lengths = {len(array) for array in [*arrays, y]}
    if len(lengths) > 1:
        raise ValueError(
            f"{role}: features and labels must have the same number of records. "
            f"Received: {[array.shape for array in arrays]} features and {y.shape} labels"
        )
    if len(y) == 0:
        raise ValueError(f"{role} is empty: there must be at least one record")
    for array in arrays:
        _check_features(array, role)
    return x, check_labels(y, role)


def check_labels(y, role="labels"):
    """Labels as given, checked: integer class indices (n,) or (n, 1), or one-hot (n, classes).

    Raises:
        ValueError: negative, fractional or non-numeric labels, or rows that are not one-hot.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2):
        raise ValueError(
            f"{role}: labels must be class indices (n,) or one-hot (n, classes). "
            f"Received: shape {y.shape}, type {y.dtype}"
        )
    if not np.all(np.isfinite(y)):
        raise ValueError(
            f"{role}: labels hold {int(np.sum(~np.isfinite(y)))} values that are NaN or infinite"
        )
    if y.ndim == 2 and y.shape[1] > 1:
        bad = np.flatnonzero((np.sum(y != 0, axis=1) != 1) | (np.sum(y, axis=1) != 1))
        if len(bad):
            raise ValueError(
                f"{role}: one-hot labels must have a single 1 a row. {len(bad)} rows do not, the first is row "
                f"{bad[0]}: {_brief(y[bad[0]])}"
            )
        return y
    bad = y[(y < 0) | (y != np.floor(y))]
    if len(bad):
        raise ValueError(
            f"{role}: labels must be class indices 0, 1, 2, ... {len(bad)} are not, the first is {bad.flat[0]}. "
            "mpreg works on classifiers; for regression targets there are no classes to attack"
        )
    return y


def label_indices(y, classes=None):
    """Class indices (n,), int64, of integer or one-hot labels.

    Raises:
        ValueError: a label of `classes` or more.
    """
    y = np.asarray(y)
    indices = np.argmax(y, axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(np.int64)
    if classes is not None and len(indices) and indices.max() >= classes:
        raise ValueError(
            f"labels must be below the number of classes, {classes}. Received a label of {indices.max()}"
        )
    return indices


def map_arrays(function, x):
    """`function` of each array in a record structure (one array, or a dict, list or tuple of arrays)."""
    if isinstance(x, dict):
        return {name: function(value) for name, value in x.items()}
    if isinstance(x, tuple) or (isinstance(x, list) and x and hasattr(x[0], "shape")):
        return type(x)(function(value) for value in x)
    return function(x)


def flatten(x):
    """The arrays of a record structure, in order."""
    if isinstance(x, dict):
        return list(x.values())
    return list(x) if isinstance(x, tuple | list) else [x]


def take(pair, rows):
    """The records at `rows` of a pair `(x, y)`."""
    x, y = pair
    return map_arrays(lambda array: array[rows], x), y[rows]


def _check_features(array, role):
    if array.dtype.kind not in "biufSU":
        raise ValueError(f"{role}: features must be numbers or strings. Received: type {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        finite = np.isfinite(array)
        rows = np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1))
        raise ValueError(
            f"{role}: features hold {int(np.sum(~finite))} values that are NaN or infinite, in {len(rows)} records, "
            f"the first is record {rows[0]}. Impute or drop them"
        )


def _read_dataset(dataset, role):
    """All records of a finite dataset of `(x, y)`, batched or not, as arrays."""
    if dataset.cardinality() == -1:
        raise ValueError(
            f"{role}: an infinite tf.data.Dataset has no last record. Take what you need with .take(n)"
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(f"{role}: a dataset must yield pairs (x, y). Received elements: {spec}")
    join = np.concatenate if is_batched(dataset) else np.stack
    elements = list(dataset.as_numpy_iterator())
    if not elements:
        raise ValueError(f"{role} is empty: there must be at least one record")
    columns = [flatten(x) for x, _ in elements]
    arrays = iter([join(column) for column in zip(*columns, strict=True)])
    x = map_arrays(lambda _: next(arrays), elements[0][0])
    return x, join([y for _, y in elements])


def is_batched(dataset):
    """Whether a dataset of `(x, y)` yields batches rather than single records."""
    x, y = dataset.element_spec
    if y.shape.rank != 1:
        return y.shape.rank == 2
    # One axis: a batch of integer labels, which is as long as the batch of x, or one record's one-hot label.
    leading = flatten(x)[0].shape[:1].as_list()
    return leading == y.shape.as_list()


def _check_same_kind(roles):
    """Roles are rows of one table: the same record shapes and label kinds."""
    (first, (x, y)), *others = roles.items()
    for role, (other_x, other_y) in others:
        shapes, other_shapes = ([array.shape[1:] for array in flatten(part)] for part in (x, other_x))
        if shapes != other_shapes:
            raise ValueError(
                f"records of {first} have shape {shapes}, but those of {role} have {other_shapes}"
            )
        if y.shape[1:] != other_y.shape[1:]:
            raise ValueError(
                f"labels of {first} have shape {y.shape}, but those of {role} have {other_y.shape}: "
                "use integers or one-hot rows for all"
            )


def _digests(x):
    """A digest of each record's features: equal numbers have equal digests, whatever type they are stored as."""
    arrays = [array.astype(np.float32) if array.dtype.kind in "biuf" else array for array in flatten(x)]
    rows = zip(*(np.ascontiguousarray(array).reshape(len(array), -1) for array in arrays), strict=True)
    return np.array([hashlib.blake2b(b"".join(map(bytes, row)), digest_size=16).digest() for row in rows])


def _without_duplicates(roles, *, drop):
    """Roles whose records stand in no earlier role.

    Raises:
        ValueError: with `drop` false, where a record stands in two roles.
    """
    seen, clean = {}, {}
    for role, pair in roles.items():
        digests = _digests(pair[0])
        copies = np.array([digest in seen for digest in digests])
        if copies.any() and not drop:
            row = int(np.flatnonzero(copies)[0])
            other, other_row = seen[digests[row]]
            raise ValueError(
                f"{int(copies.sum())} records of {role} stand in an earlier role too: {role}[{row}] equals "
                f"{other}[{other_row}]. A record in two roles makes every figure wrong: pass "
                'duplicates="drop" to remove the copies, or "allow" if distinct people have equal records'
            )
        if copies.all():
            raise ValueError(
                f"every record of {role} is a copy of one in an earlier role: nothing is left of it"
            )
        for row in np.flatnonzero(~copies):
            seen.setdefault(digests[row], (role, int(row)))
        clean[role] = take(pair, ~copies) if copies.any() else pair
    return clean


def _brief(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:117]}..."
