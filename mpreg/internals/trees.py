"""Boosted trees beside the network of a white-box attack: on few known records they read short signals better."""

import numpy as np

from mpreg._threads import one_thread
from mpreg.signals.trees import MAX_CATEGORIES, membership_trees

RANKED = 5  # highest activations
SHORT = 64  # numbers of a signal that is read as it is
FAR = 1e-6  # from certainty: what probabilities are cut off at


class MembershipTrees:
    """Fits boosted trees to the short signals of a `Reading`, with the options of `TrainedAttack`."""

    def fit(self, read, membership, *, seed=0):
        """Fits the trees to records of known membership, bool (n,); returns itself."""
        columns = short_columns(read)
        categories = [0] if "label" in read.values and read.widths["label"][0] <= MAX_CATEGORIES else None
        self._share = membership.mean()
        self._trees = membership_trees(len(membership), categories=categories, seed=seed)
        with one_thread():
            self._trees.fit(columns, membership)
        return self

    def score(self, read):
        """Returns log-odds of membership, as if half of the known records had been members, float64 (n,)."""
        with one_thread():
            found = np.clip(self._trees.predict_proba(short_columns(read))[:, 1], FAR, 1 - FAR)
        return np.log(found / (1 - found)) - np.log(self._share / (1 - self._share))


def short_columns(read):
    """Returns the class, the highest activations of each layer in order and short signals as they are, float64 (n, k).

    Gradients that are written out are left to the network; k is 0 where there is nothing else.
    """
    columns = [np.empty((len(read), 0))]
    for name, value in read.values.items():
        if name == "label":
            columns.insert(0, value.argmax(axis=1)[:, None])
        elif name.startswith("activations of"):
            columns.append(-np.sort(-value, axis=1)[:, :RANKED])
        elif not name.startswith("gradient of") and value.shape[1] <= SHORT:
            columns.append(value)
    return np.concatenate(columns, axis=1).astype(np.float64)
