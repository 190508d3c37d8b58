"""The model that a white-box attack is fitted on, to be applied to another."""

import itertools
from dataclasses import dataclass

import numpy as np

from mpreg._validate import short_repr
from mpreg.data import MembershipSplit, label_indices, pool
from mpreg.data.duplicates import digest_records
from mpreg.internals.reading import read_signals


@dataclass(frozen=True, eq=False)
class OtherModel:
    """Holds a model with its members and non-members.

    A copy, however deep, is itself: a model need not be copied to be read.
    """

    model: object
    split: MembershipSplit

    @classmethod
    def of(cls, given):
        """Returns an `OtherModel` for a pair `(model, split)`, or None.

        Raises:
            ValueError: something else.
        """
        if given is None:
            return None
        pair = isinstance(given, tuple | list) and len(given) == 2
        if not pair or not hasattr(given[0], "predict_on_batch") or not isinstance(given[1], MembershipSplit):
            raise ValueError(
                "other must be a pair of a Keras model and the mpreg.MembershipSplit that tells its members from its "
                f"non-members. Received: {short_repr(given)}"
            )
        return cls(*given)

    def __deepcopy__(self, memo):
        return self

    def read(self, choice, access, judged):
        """Returns the `Reading` of its records, and their membership, bool (n,).

        Args:
            choice: what is read.
            access: `Access` to the judged model.
            judged: the `Reading` of the judged records.

        Raises:
            ValueError: the two models differ in what is read, or share records.
        """
        (x, y), (other_x, other_y) = self.split.members, self.split.nonmembers
        records, labels = pool(x, other_x), np.concatenate([label_indices(y), label_indices(other_y)])
        shared = np.isin(digest_records(records)[:, 0], digest_records(access.records)[:, 0]).sum()
        if shared:
            raise ValueError(
                f"{shared} of the {len(labels):,} records that the attack learns from are among the judged ones: "
                "their membership would be known. Leave them out of other's split"
            )
        if labels.max() >= access.classes:
            raise ValueError(
                f"the model that the attack learns from has a class {labels.max()}, but the judged one answers with "
                f"{access.classes} classes"
            )
        model = getattr(self.model, "target_model", self.model)
        if choice.needs_weights:
            check_alike(model, access.model)
        read = read_signals(model, records, labels, choice, classes=access.classes)
        if list(read.widths.values()) != list(judged.widths.values()):
            raise ValueError(
                "the model that the attack learns from must answer with as many classes as the judged one. "
                f"Received: {_listed(read.widths)} against {_listed(judged.widths)}"
            )
        # By place: the names of layers are those of the model that is judged.
        alike = dict(zip(judged.values, read.values.values(), strict=True))
        return type(read)(alike), np.arange(len(labels)) < len(y)


def check_alike(known, judged):
    """Raises a `ValueError` if two models differ in architecture, judged by their weights."""
    shapes = [
        [(layer.name, tuple(v.shape)) for layer in _weighted(model) for v in layer.trainable_variables]
        for model in (known, judged)
    ]
    for place, (own, other) in enumerate(itertools.zip_longest(*shapes), 1):
        if own is None or other is None or own[1] != other[1]:
            raise ValueError(
                "the model that the attack learns from must be of the architecture of the one that it judges. They "
                f"first differ in weight {place}: {_said(own)} against {_said(other)}. Read the answers alone, "
                "layers_to_exploit=[-1], gradients_to_exploit=[], exploit_sizes=False, or give another model"
            )


def _weighted(model):
    return [layer for layer in model.layers if layer.trainable_variables]


def _said(weight):
    return "none" if weight is None else f"{weight[1]} of layer {weight[0]!r}"


def _listed(widths):
    return ", ".join(f"{name} {shape}" for name, shape in widths.items())
