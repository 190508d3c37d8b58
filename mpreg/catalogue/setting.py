"""A setting: a data set, how it is split, and how its classifier is trained."""

import dataclasses
import random
from collections.abc import Callable

import keras

from mpreg import datasets
from mpreg._deprecated import RenamedAttribute
from mpreg.catalogue.networks import network_of
from mpreg.catalogue.trained_by import TrainedBy
from mpreg.data import MembershipSplit, take
from mpreg.data.split import draw_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """How a data set is split and its classifier trained.

    Attributes:
        name: as commands take it; that of the data set where it is empty.
        dataset: a name of `mpreg.datasets`.
        members, reference, nonmembers: records a role; None takes all that are left as non-members.
        network: a name of `mpreg.catalogue.NETWORKS`, or a function `(record shape, classes, seed)` of a Keras
            classifier with softmax answers.
        learning_rate: of Adam, for the classifier without and with defence.
        epochs: without and with defence, so that stopping early is not taken for the defence's doing.
        penalty: weight of the gain, for the defended classifier.
        batch_size: members a step.
        trained_by: how else than by Adam and cross-entropy on class probabilities; None for that.

    Example:
    ```python
    setting = Setting(
        dataset="digits", members=400, reference=400, network="small_mlp", learning_rate=1e-3, epochs=30
    )
    data, split = setting.draw(seed=0)
    model = setting.compile(setting.build_model(data, seed=0))
    ```
    """

    target, fresh = RenamedAttribute("build_model"), RenamedAttribute("build_model")
    but, compiled = RenamedAttribute("replace"), RenamedAttribute("compile")

    name: str = ""
    dataset: str
    members: int
    reference: int
    nonmembers: int | None = None
    network: str | Callable
    learning_rate: float
    epochs: int
    penalty: float = 0.0
    batch_size: int = 128
    trained_by: TrainedBy | None = None

    def __post_init__(self):
        object.__setattr__(self, "name", self.name or self.dataset)

    def replace(self, **changes):
        """Returns a copy with some values changed; None keeps the value."""
        return dataclasses.replace(
            self, **{name: value for name, value in changes.items() if value is not None}
        )

    def draw(self, seed, *, validation=False):
        """The data set and its split.

        Args:
            seed: of the draw.
            validation: whether to choose options by it: half of the reference records then stand for the
                non-members, which nobody looks at before the options are chosen.
        """
        data = datasets.load(self.dataset)
        split = MembershipSplit.from_arrays(
            data.features,
            data.labels,
            members=self.members,
            reference=self.reference,
            nonmembers=self.nonmembers,
            seed=seed,
            duplicates="drop",
        )
        return data, validation_part(split) if validation else split

    def rows(self, data, seed):
        """Rows of the data of each role, as `draw` draws them; None for no reference."""
        roles = {"members": self.members, "reference": self.reference, "nonmembers": self.nonmembers}
        return draw_rows(data.features, data.labels, **roles, seed=seed, duplicates="drop")

    def build_model(self, data, seed=None):
        """Returns an untrained classifier for the data; None draws a seed of its own, which follows Python's."""
        seed = random.randrange(2**31) if seed is None else seed
        return network_of(self.network)(data.features.shape[1:], data.classes, seed)

    def compile(self, model):
        """Compiles the classifier with the setting's optimizer and loss, and returns it."""
        if self.trained_by is None:
            optimizer, loss = keras.optimizers.Adam(self.learning_rate), "sparse_categorical_crossentropy"
        else:
            optimizer, loss = self.trained_by.optimizer_and_loss(self.learning_rate)
        model.compile(optimizer, loss, metrics=["accuracy"])
        return model


def validation_part(split):
    """A split of the same members whose reference is the first half of the reference, its non-members the other."""
    half = len(split.reference[1]) // 2
    first, second = slice(None, half), slice(half, None)
    return MembershipSplit(split.members, take(split.reference, first), take(split.reference, second))


def setting_of(settings, name):
    """The setting of a name, mostly that of a data set, of a dict by name; a `Setting` stands for itself.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if isinstance(name, Setting):
        return name
    if name not in settings:
        raise ValueError(f"dataset must be one of {', '.join(settings)}. Received: {name!r}")
    return settings[name]
