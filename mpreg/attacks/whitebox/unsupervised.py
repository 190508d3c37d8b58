"""The white-box attack of somebody who knows no member: an autoencoder, and two clusters of its codes."""

import numpy as np

from mpreg import signals
from mpreg._threads import one_thread
from mpreg._validate import check_count
from mpreg.attacks.base import PreparedAttack
from mpreg.attacks.whitebox.attack import listed
from mpreg.internals.reading import Choice, read_signals

CLUSTERED = 1500  # records at most that clusters are drawn from: their work grows with the square
NEIGHBOURS = 20


class UnsupervisedWhiteBoxAttack(PreparedAttack):
    """Parts the records in two by what the model does with them, and calls the part of the smaller gradients members.

    An autoencoder reads activations, gradients, loss and label, and writes down what membership shows in: loss,
    correctness, the label's confidence, entropy and the gradient's norm. Its codes are parted by spectral clustering;
    the score is how far a record lies on the members' side of the border between the parts.

    Half of the judged records ought to be members, about: where few are, the border falls elsewhere.

    Source: Nasr, Shokri and Houmansadr, "Comprehensive Privacy Analysis of Deep Learning", S&P 2019, section II-F.

    Args:
        layers_to_exploit, gradients_to_exploit: as for `WhiteBoxAttack`.
        epochs: of the autoencoder.
        code: numbers of a code.

    Raises:
        ValueError: options out of range; when run, layers that are not there.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=["standard", mpreg.attacks.UnsupervisedWhiteBoxAttack()])
    ```
    """

    name = "white-box, unsupervised"
    key = "whitebox_unsupervised"
    threat_model = "holds the model, and knows of no record whether it was a member"
    needs = frozenset({"records", "numbers", "weights"})
    learns = False
    threshold = 0.0

    def __init__(self, *, layers_to_exploit=(-1,), gradients_to_exploit=(), epochs=30, code=8):
        self.choice = Choice(listed(layers_to_exploit), listed(gradients_to_exploit), sizes=True)
        self.epochs, self.code = check_count("epochs", epochs, 1), check_count("code", code, 1)

    def score_all(self, access):
        from sklearn.linear_model import LogisticRegression  # slow to import, and thresholds need none

        from mpreg.internals.classifier import codes  # it imports Keras

        read = read_signals(access.model, access.records, access.labels, self.choice, classes=access.classes)
        told = _told(read, access.answers)
        found = codes(read, told, width=self.code, epochs=self.epochs, seed=access.seed)
        rng = np.random.default_rng(access.seed)
        sample = rng.permutation(len(found))[:CLUSTERED]
        with one_thread():
            part = _two_parts(found[sample], seed=access.seed)
            border = LogisticRegression().fit(found[sample], part)
            scores = border.decision_function(found)
        norm = told[:, -1]
        inside = scores > 0
        if inside.any() and (~inside).any() and norm[inside].mean() > norm[~inside].mean():
            return -scores
        return scores


def _two_parts(codes, *, seed):
    """0 or 1 for each code, by spectral clustering."""
    from sklearn.cluster import SpectralClustering  # as above

    neighbours = min(NEIGHBOURS, len(codes) - 1)
    clustering = SpectralClustering(
        2, affinity="nearest_neighbors", n_neighbors=neighbours, assign_labels="kmeans", random_state=seed
    )
    return clustering.fit_predict(codes)


def _told(read, answers):
    """What membership shows in, float64 (n, 5); the last is the logarithm of the gradient's norm."""
    logs = read.values["gradient sizes"].astype(np.float64)
    return np.column_stack(
        [
            signals.loss(answers),
            signals.correctness(answers),
            signals.logit_confidence(answers),
            signals.entropy(answers),
            0.5 * np.logaddexp.reduce(2 * logs, axis=1),
        ]
    )
