"""The white-box attack: whoever holds the model reads each record's activations and gradients."""

import numpy as np

from mpreg._validate import check_count, check_number, short_repr
from mpreg.attacks.base import Attack
from mpreg.internals.other_model import OtherModel
from mpreg.internals.reading import Choice, read_signals
from mpreg.internals.snapshots import check_snapshots

WIDTHS = {"compact": 2048, "nasr2019": 2**17}  # numbers of a signal that the encoders read at most
SCHEDULES = {"compact": (30, 1e-3, 128), "nasr2019": (100, 1e-4, 64)}  # epochs, learning rate, batch


class WhiteBoxAttack(Attack):
    """A classifier of what the model does with a record: activations, gradients, loss and label, each encoded.

    Training has made the gradients of members small, in each layer in its own way. The attacker holds the model, and
    knows the membership of other records, or trained a model of the same architecture (`other`), model A, and judges
    the records of this one, model B. Gradients are computed for many records at once and in bounded memory.

    Source: Nasr, Shokri and Houmansadr, "Comprehensive Privacy Analysis of Deep Learning: Passive and Active White-box
    Inference Attacks against Centralized and Federated Learning", S&P 2019, section II.

    Args:
        layers_to_exploit: layers by name or number whose activations are read: of `model.layers`, 1 is the first and -1
            the last, whose activations are the model's answers.
        gradients_to_exploit: layers by name or number whose gradients are read in full; numbers count the layers that
            have trainable weights. The last layers' tell most, given many known records.
        exploit_sizes: whether to read how large the gradients in each weight are, and the activations of each layer.
        exploit_loss, exploit_label: whether to read the loss and the label.
        encoders: `"compact"`, whose answer is averaged with that of boosted trees on short signals, or `"nasr2019"`:
            the published ones, some twenty million parameters.
        other: pair `(model, split)`: the model to learn from, with its members and non-members, none of which may be
            among the judged ones. The attack then needs no judged record of known membership. With gradients or hidden
            layers it must be of the judged model's architecture; with the answers alone, have as many classes.
        snapshots: `Snapshots` of the model's training, as `callbacks.SnapshotRecorder` takes them: all are read, in
            place of the model as it is.
        epochs, learning_rate, batch_size: of the classifier; None as fits the encoders, for the published ones 100,
            1e-4 and 64.
        optimizer: of the classifier, by its name in Keras.
        name: of the attack, where several are compared.

    Raises:
        ValueError: options out of range, or nothing to read; when run, layers that are not there, or a model of another
            architecture.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks="whitebox")
    attack = WhiteBoxAttack(layers_to_exploit=[3, 4, 5], gradients_to_exploit=["logits"], exploit_loss=True)
    mpreg.evaluate(model, split, attacks=["standard", attack])
    ```
    """

    key = "white_box"
    needs = frozenset({"records", "numbers", "weights"})

    def __init__(
        self,
        *,
        layers_to_exploit=(-1,),
        gradients_to_exploit=(),
        exploit_sizes=True,
        exploit_loss=True,
        exploit_label=True,
        encoders="compact",
        other=None,
        snapshots=None,
        epochs=None,
        learning_rate=None,
        batch_size=None,
        optimizer="adam",
        name=None,
    ):
        if encoders not in WIDTHS:
            raise ValueError(f"encoders must be one of {', '.join(WIDTHS)}. Received: {encoders!r}")
        layers, gradients = listed(layers_to_exploit), listed(gradients_to_exploit)
        self.snapshots = check_snapshots(snapshots)
        if other is not None and snapshots is not None:
            raise ValueError(
                "an attack reads another model or snapshots of this one. Received: other and snapshots"
            )
        flags = [bool(flag) for flag in (exploit_sizes, exploit_loss, exploit_label)]
        if not (layers or gradients or any(flags[:2])):
            raise ValueError("there is nothing to read: name layers_to_exploit or gradients_to_exploit")
        self.choice = Choice(layers, gradients, *flags, WIDTHS[encoders])
        self.encoders, self.other = encoders, OtherModel.of(other)
        given = zip((epochs, learning_rate, batch_size), SCHEDULES[encoders], strict=True)
        epochs, learning_rate, batch_size = (usual if own is None else own for own, usual in given)
        self.epochs, self.batch_size = (
            check_count("epochs", epochs, 1),
            check_count("batch_size", batch_size, 1),
        )
        self.learning_rate = check_number("learning_rate", learning_rate, above=0)
        self.optimizer = optimizer
        self.learns = self.other is None
        self.name = name or _name(self.choice, self.other, self.snapshots)
        holds = "holds the model" if snapshots is None else "holds the model as it was after several epochs"
        self.threat_model = (
            f"{holds}, and " if self.choice.needs_weights or snapshots else "sees the model's answers, and "
        ) + ("knows who was a member among other records" if self.learns else "has trained one like it")

    def prepare(self, access):
        """Reads all judged records; returns their numbers, which stand for what was read of them."""
        options = {"classes": access.classes, "snapshots": self.snapshots}
        self._read = read_signals(access.model, access.records, access.labels, self.choice, **options)
        if self.other is not None:
            known, membership = self.other.read(self.choice, access, self._read)
            self._fit(known, membership, seed=access.seed)
            self._read = _Scored(self._scores(self._read))
        return np.arange(len(access.labels), dtype=np.float64)

    def fit(self, members, nonmembers, *, seed=0):
        if self.learns:
            rows = np.concatenate([members, nonmembers]).astype(np.int64)
            self._fit(self._read[rows], np.arange(len(rows)) < len(members), seed=seed)
        return self

    def score(self, rows):
        own = self._read[np.asarray(rows, np.int64)]
        return self._scores(own) if self.learns else own

    def _fit(self, known, membership, *, seed):
        from mpreg.internals.classifier import MembershipClassifier  # it imports Keras

        self._classifier = MembershipClassifier(
            self.encoders,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
        ).fit(known, membership, seed=seed)
        self.threshold = 0.0  # both sides weigh alike, however many known records either has

    def _scores(self, read):
        return self._classifier.score(read)


class _Scored:
    """Scores of all judged records, where nothing is learned from them."""

    def __init__(self, scores):
        self.scores = scores

    def __getitem__(self, rows):
        return self.scores[rows]


def listed(chosen):
    """Returns the layers of an option as a tuple: of names or numbers, one of them, or None for none."""
    if chosen is None:
        return ()
    if isinstance(chosen, list | tuple):
        return tuple(chosen)
    if isinstance(chosen, str | int) and not isinstance(chosen, bool):
        return (chosen,)
    raise ValueError(f"layers must be names or numbers, or a list of them. Received: {short_repr(chosen)}")


def _name(choice, other, snapshots):
    kind = (
        "white-box"
        if choice.gradients or choice.sizes
        else "white-box, activations"
        if choice.needs_weights
        else "encoded outputs"
    )
    if snapshots is not None:
        return f"{kind}, epochs {', '.join(map(str, snapshots.epochs))}"
    return f"{kind}, from another model" if other else kind
