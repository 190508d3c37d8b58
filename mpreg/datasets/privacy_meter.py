"""Data for `meminf` from files of ml_privacy_meter: a population as text, members as an array of text."""

import numpy as np

from mpreg._validate import check_count, check_number, short_repr
from mpreg.data import MembershipSplit, take
from mpreg.data.duplicates import digest_records


class attack_data:
    """Holds members and as many non-members in two parts: one to fit the attack, one to judge it.

    A line of the population's file is a record: features separated by commas, a semicolon, its label; of images, whose
    channels stand one after the other, a semicolon after each channel. The members' file is a NumPy array of such
    lines, or of their fields. Members are left out of the population.

    Args:
        dataset_path: text file of the population.
        member_dataset_path, saved_path: `.npy` file of the members; either name will do.
        batch_size: records a step of the attack's training.
        attack_percentage: percent of the members that the attack learns from; it judges the others.
        input_shape: shape of a record, for images (height, width, channels); None keeps them flat.
        normalization: whether images are divided by 255 and standardized, channel by channel, as the members are.
        seed: seed of the population's order.

    Raises:
        ValueError: options out of range, an array of Python objects, lines that are no records, or fewer non-members
            in the population than members.

    Example:
    ```python
    handler = attack_data("purchase.txt", "members.npy", batch_size=100, attack_percentage=50, input_shape=(600,))
    ```
    """

    def __init__(
        self,
        dataset_path,
        member_dataset_path=None,
        batch_size=100,
        attack_percentage=50,
        input_shape=None,
        normalization=False,
        *,
        saved_path=None,
        seed=0,
    ):
        self.batch_size = check_count("batch_size", batch_size, 1)
        self.attack_percentage = check_number("attack_percentage", attack_percentage, above=0, below=100)
        path = member_dataset_path if member_dataset_path is not None else saved_path
        if path is None:
            raise ValueError("member_dataset_path is missing: the .npy file of the members")
        with open(dataset_path, encoding="utf-8") as file:
            population = _records([line.strip().split(";") for line in file if line.strip()], input_shape)
        members = _records(_fields(np.load(path, allow_pickle=False)), input_shape)
        own = np.isin(digest_records(population[0])[:, 0], digest_records(members[0])[:, 0])
        others = take(population, np.random.default_rng(seed).permutation(np.flatnonzero(~own)))
        if len(others[1]) < len(members[1]):
            raise ValueError(
                f"the population must hold as many non-members as there are members, {len(members[1]):,}. "
                f"Received: {len(others[1]):,} in {dataset_path}"
            )
        if normalization:
            axes = tuple(range(members[0].ndim - 1))
            mean, deviation = members[0].mean(axis=axes), members[0].std(axis=axes)
            members, others = (((x - mean) / deviation, y) for x, y in (members, others))
        self.members, self.nonmembers = members, take(others, slice(0, len(members[1])))

    def parts(self):
        """Returns the `MembershipSplit` to fit the attack to, and the one to judge it by."""
        return halves(self.members, self.nonmembers, self.attack_percentage / 100)


def parts_of(handler):
    """Returns the two parts of an `attack_data`, or the halves of a `MembershipSplit`.

    Raises:
        TypeError: something else.
    """
    if isinstance(handler, MembershipSplit):
        return halves(handler.members, handler.nonmembers, 0.5)
    if not hasattr(handler, "parts"):
        raise TypeError(
            "a datahandler must be an mpreg.attacks.meminf.attack_data or an mpreg.MembershipSplit. "
            f"Received: {short_repr(handler)}"
        )
    return handler.parts()


def halves(members, nonmembers, share):
    """Divides members and as many non-members into two splits, the first with this share of both.

    Raises:
        ValueError: a part would have no record.
    """
    count = min(len(members[1]), len(nonmembers[1]))
    first = round(share * count)
    if not 0 < first < count:
        raise ValueError(f"{share:.0%} of {count} members leave nothing to learn from or nothing to judge")
    parts = slice(0, first), slice(first, count)
    return [
        MembershipSplit(take(members, part), None, take(nonmembers, part), duplicates="allow")
        for part in parts
    ]


def _fields(array):
    return (
        [str(row).split(";") for row in array] if array.ndim == 1 else [list(map(str, row)) for row in array]
    )


def _records(rows, shape):
    """Features, float32, and labels of lines that are cut at semicolons."""
    try:
        x = np.array([[value for part in row[:-1] for value in part.split(",")] for row in rows], np.float32)
        y = np.array([row[-1] for row in rows], np.float64)
    except ValueError as error:
        raise ValueError(
            f"each line must hold the same number of features, separated by commas, a semicolon and a label: {error}"
        ) from error
    if shape is not None and len(shape) == 3:
        height, width, channels = shape
        x = x.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    elif shape is not None:
        x = x.reshape(-1, *shape)
    return x, y.astype(np.int64)
