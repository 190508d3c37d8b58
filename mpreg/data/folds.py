"""Folds of records: stratified by class, with near-duplicates in the same fold."""

import numpy as np

from mpreg._validate import check_count
from mpreg.data.groups import join_groups, merge_groups
from mpreg.data.labels import label_indices
from mpreg.data.neighbours import link_near_duplicates
from mpreg.data.records import flatten
from mpreg.data.text import is_text


def deal_folds(x, y, folds, *, groups=None, seed=0):
    """Returns the fold of each record, int64 (n,), from 0: stratified by class, with groups kept together.

    Near-duplicates of a class are dealt together too: each would make the other plausible, though nobody else did. Text
    has none, and neither have classes that would be left with fewer groups than folds. A group that holds several
    classes is dealt with the class of its first record.

    Args:
        x: records.
        y: labels, integer or one-hot.
        folds: how many, at least 2.
        groups: as for `join_groups`: equal records are one group in any case.
        seed: of the deal.

    Raises:
        ValueError: one class only, or a class with fewer groups than folds: one of the models that answer to held-out
            records might not know it.
    """
    check_count("folds", folds, 2)
    check_count("seed", seed, 0)
    labels, groups = label_indices(y), join_groups(x, groups)
    _check_classes(labels, _class_of(groups, labels), folds)
    groups = _with_near_duplicates(x, labels, groups, folds)
    of_group = _class_of(groups, labels)
    order = np.random.default_rng(seed).permutation(len(of_group))
    order = order[np.argsort(of_group[order], kind="stable")]  # class by class, each in random order
    fold_of_group = np.empty(len(order), np.int64)
    fold_of_group[order] = np.arange(len(order)) % folds
    return fold_of_group[groups]


def _class_of(groups, labels):
    return labels[np.unique(groups, return_index=True)[1]]


def _with_near_duplicates(x, labels, groups, folds):
    if any(is_text(np.asarray(array)) for array in flatten(x)):
        return groups
    near = link_near_duplicates(x, labels)
    merged = merge_groups(groups, near)
    left = np.bincount(_class_of(merged, labels), minlength=labels.max() + 1)
    few = left[labels] < folds
    return (
        merge_groups(groups, np.where(few, near.max() + 1 + np.arange(len(near)), near))
        if few.any()
        else merged
    )


def _check_classes(labels, of_group, folds):
    present = np.unique(labels)
    if len(present) == 1:
        raise ValueError(f"there must be at least two classes. Received: labels of class {present[0]} alone")
    counts = np.bincount(of_group, minlength=present[-1] + 1)[present]
    if counts.min() < folds:
        rare = present[counts < folds]
        raise ValueError(
            f"each class needs as many records that differ as there are folds, {folds}. Received: class {rare[0]} with "
            f"{counts[counts < folds][0]}{f', and {len(rare) - 1} more such classes' if len(rare) > 1 else ''}. Use "
            "fewer folds, or set such classes aside and say so"
        )
