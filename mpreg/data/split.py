"""The membership split: members, reference records and non-members."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpreg._validate import check_count
from mpreg.data.duplicates import digest_records, first_equal
from mpreg.data.frames import names_of, to_frame
from mpreg.data.labels import ONE, check_decisions
from mpreg.data.records import check_pair, flatten, take

ROLES = ("members", "reference", "nonmembers")
DUPLICATES = ("error", "drop", "allow")
NAMED = 3  # duplicates that an error names
REMEDY = 'pass duplicates="drop" to remove the copies, or "allow" if distinct people have equal records'


@dataclass(frozen=True, eq=False)
class MembershipSplit:
    """Holds records by role: members train the model, a defence may use the reference, non-members are for evaluation.

    Each role is a pair `(x, y)`: `x` one array with a record in each row (or a dict, list or tuple of such
    arrays, for a model with several inputs), `y` integer labels (n,) or (n, 1), or one-hot labels
    (n, classes). A finite `tf.data.Dataset` of `(x, y)` is read into arrays; what is passed in is never
    changed. Text is held as Python's strings, which Keras fits where each record is one string; wrappers, `evaluate`
    and callbacks of mpreg take it in any shape, and bytes too.

    A record in two roles would distort every figure, so records with equal features in two roles raise an error that
    counts and names them. Features are equal if they are the same numbers in float32, as Keras sees them, whatever
    type they are stored as (integers are compared exactly). `duplicates="drop"` removes the later copies instead
    (members keep theirs, then reference), `"allow"` keeps all: choose it only if different people have equal records.

    A DataFrame of numbers is held as an array, and `evaluate` asks a model with `predict_proba` with DataFrames of
    the same column names; `pipeline.fit(*split.frame("members"))` trains one.

    Args:
        members: records that the target is trained on.
        reference: non-members that a defence may use; None where no defence needs them.
        nonmembers: records kept for measuring.
        duplicates: `"error"`, `"drop"` or `"allow"`.
        canaries: which members and non-members stand out on purpose; `mpreg.plant_canaries` sets it. Else None.
        columns: names of the columns of x; None takes those of a DataFrame, or of a dict of columns.
        decisions: what the model decides of a record: `"one"` class; yes or no on each of several `"labels"`, y being
            0 and 1 (n, labels); or a class at each of its `"positions"`, such as pixels or words, y being class
            indices (n, ...), -1 where a position does not count. `evaluate` attacks all three.

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
    canaries: Any = None
    columns: tuple | None = None
    decisions: str = ONE

    def __post_init__(self):
        check_decisions(self.decisions)
        if self.duplicates not in DUPLICATES:
            raise ValueError(f"duplicates must be one of {DUPLICATES}. Received: {self.duplicates!r}")
        for role in ROLES:
            pair = getattr(self, role)
            if self.columns is None and isinstance(pair, tuple | list) and len(pair) == 2:
                object.__setattr__(self, "columns", names_of(pair[0]))
            if pair is not None or role != "reference":
                object.__setattr__(self, role, check_pair(pair, role, self.decisions))
        roles = {role: getattr(self, role) for role in ROLES if getattr(self, role) is not None}
        _check_same_kind(roles)
        if self.canaries is not None and self.duplicates == "drop":
            raise ValueError("canaries are known by their rows: drop duplicates before they are planted")
        if self.duplicates != "allow":
            for role, pair in _without_duplicates(roles, drop=self.duplicates == "drop").items():
                object.__setattr__(self, role, pair)

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        *,
        members: int,
        reference: int,
        seed: int,
        nonmembers: int | None = None,
        duplicates: str = "error",
        decisions: str = ONE,
    ) -> "MembershipSplit":
        """Draws a split at random: `members`, `reference`, and the rest (or `nonmembers` of it).

        Args:
            x: one array of records, or a dict, list or tuple of arrays with as many rows.
            y: integer labels (n,) or (n, 1), or one-hot labels (n, classes).
            members: number of members, at least 1.
            reference: number of reference records, 0 for none.
            seed: seed of the draw; the same seed gives the same split.
            nonmembers: number of non-members; None takes all that are left.
            duplicates: as for the class. With `"drop"`, copies are removed before the draw.
            decisions: as for the class.

        Raises:
            ValueError: the numbers asked for do not leave one non-member, or as for the class.
        """
        columns = names_of(x)
        x, y = check_pair((x, y), "records", check_decisions(decisions))
        rows = draw_rows(
            x,
            y,
            members=members,
            reference=reference,
            seed=seed,
            nonmembers=nonmembers,
            duplicates=duplicates,
        )
        roles: list[Any] = [None if part is None else take((x, y), part) for part in rows]
        chosen, kept, rest = roles
        return cls(chosen, kept, rest, duplicates=duplicates, columns=columns, decisions=decisions)

    @classmethod
    def from_train_test(
        cls,
        train: Any,
        test: Any,
        *,
        reference: int = 0,
        seed: int = 0,
        duplicates: str = "error",
        decisions: str = ONE,
    ) -> "MembershipSplit":
        """Returns the split of an existing train and test set; members are the train set.

        Args:
            train: pair `(x, y)` that the model is, or was, trained on.
            test: pair `(x, y)` that it was not.
            reference: how many of the test set's records to set aside for a defence; the rest are non-members.
            seed: of the draw among the test set's records.
            duplicates, decisions: as for the class.

        Raises:
            ValueError: `reference` leaves no non-member, or as for the class.

        Example:
        ```python
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
        split = mpreg.MembershipSplit.from_train_test((x_train, y_train), (x_test, y_test), reference=5_000)
        ```
        """
        check_count("reference", reference, 0)
        check_count("seed", seed, 0)
        columns = names_of(test[0]) if isinstance(test, tuple | list) and test else None
        test = check_pair(test, "test", check_decisions(decisions))
        if reference >= len(test[1]):
            raise ValueError(
                f"reference must leave at least one of the {len(test[1]):,} test records as a non-member. "
                f"Received: reference={reference}"
            )
        rows = np.random.default_rng(seed).permutation(len(test[1]))
        kept = take(test, rows[:reference]) if reference else None
        options: dict[str, Any] = {"duplicates": duplicates, "columns": columns, "decisions": decisions}
        return cls(train, kept, take(test, rows[reference:]), **options)

    def frame(self, role: str) -> Any:
        """Returns a role's records as a DataFrame with column names, and its labels.

        Raises:
            ValueError: an unknown role, one without records, or records whose columns have no names.
        """
        if role not in ROLES or getattr(self, role) is None or self.columns is None:
            raise ValueError(
                f"role must be one of {ROLES}, with records from a DataFrame or a dict of columns. Received: {role!r}"
            )
        x, y = getattr(self, role)
        return to_frame(x, self.columns), y

    def __repr__(self):
        sizes = ", ".join(
            f"{role}={len(getattr(self, role)[1]):,}" if getattr(self, role) is not None else f"{role}=None"
            for role in ROLES
        )
        return f"MembershipSplit({sizes}{'' if self.canaries is None else f', {self.canaries}'})"


def draw_rows(x, y, *, members, reference, seed, nonmembers=None, duplicates="error"):
    """Draws the rows of each role as `MembershipSplit.from_arrays` does; None for no reference.

    Args, Raises: as there.
    """
    check_count("members", members, 1)
    check_count("reference", reference, 0)
    check_count("seed", seed, 0)
    if nonmembers is not None:
        check_count("nonmembers", nonmembers, 1)
    drop = duplicates == "drop"
    rows = np.unique(first_equal(digest_records(x))) if drop else np.arange(len(y))
    needed = members + reference + (nonmembers or 1)
    if needed > len(rows):
        raise ValueError(
            f"there are {len(rows):,} {'distinct ' if drop else ''}records, but members={members}, "
            f"reference={reference} and nonmembers={nonmembers or 'at least 1'} need {needed:,}. Ask for fewer"
        )
    rows = np.random.default_rng(seed).permutation(rows)
    end = None if nonmembers is None else needed
    return (
        rows[:members],
        rows[members : members + reference] if reference else None,
        rows[members + reference : end],
    )


def _check_same_kind(roles):
    """Roles are rows of one table: the same inputs, record shapes and label kinds."""
    (first, (x, y)), *others = roles.items()
    for role, (other_x, other_y) in others:
        inputs, other_inputs = (_inputs(part) for part in (x, other_x))
        if inputs != other_inputs:
            raise ValueError(f"records of {first} have {inputs}, but those of {role} have {other_inputs}")
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


def _inputs(x):
    return f"inputs {sorted(x)}" if isinstance(x, dict) else f"{len(flatten(x))} input(s)"


def check_distinct(roles: Any, *, remedy: Any = REMEDY):
    """Raises a `ValueError` that counts and names records that occur in two roles.

    Args:
        roles: pair `(x, y)` by role.
        remedy: what to do about it, as the end of the message, in the options of whoever was asked.
    """
    names, own, original = _origins(roles)
    _raise_if_any(names, own, original, remedy)


def _origins(roles):
    """For the records of all roles together, role and row of each and of its first copy, names of the roles apart."""
    starts = np.cumsum([0, *(len(y) for _, y in roles.values())])
    first = first_equal(np.concatenate([digest_records(x) for x, _ in roles.values()]))
    places = []
    for rows in (np.arange(len(first)), first):
        role = np.searchsorted(starts, rows, side="right") - 1
        places.append((role, rows - starts[role]))
    return list(roles), *places


def _raise_if_any(names, own, original, remedy):
    copies = np.flatnonzero(own[0] != original[0])
    if not len(copies):
        return
    named = [
        " equals ".join(f"{names[role[row]]}[{place[row]}]" for role, place in (own, original))
        for row in copies[:NAMED]
    ]
    raise ValueError(
        f"records that stand in an earlier role too: {len(copies):,} ({', '.join(named)}"
        f"{', ...' if len(copies) > NAMED else ''}). A record in two roles makes every figure wrong: {remedy}"
    )


def _without_duplicates(roles, *, drop):
    """Roles whose records stand in no earlier role.

    Raises:
        ValueError: with `drop` false, where records stand in two roles; with `drop`, where nothing is left of a
            role.
    """
    names, own, original = _origins(roles)
    if not drop:
        _raise_if_any(names, own, original, REMEDY)
        return roles
    clean = {}
    for number, name in enumerate(names):
        fresh = (own[0] == original[0])[own[0] == number]
        if not fresh.any():
            raise ValueError(
                f"every record of {name} is a copy of one in an earlier role: nothing is left of it"
            )
        clean[name] = roles[name] if fresh.all() else take(roles[name], fresh)
    return clean
