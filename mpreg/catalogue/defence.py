"""A defence: how to train with it, how strong to make it, and whose records it consumes."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

import mpreg
from mpreg._deprecated import RenamedAttribute
from mpreg.catalogue.registries import DEFENCES
from mpreg.catalogue.screening import PublicScreeningOptions, ScreeningOptions, train_on_kept
from mpreg.data import map_arrays

ANY = "*"
SCREENED = "screened-"  # before the name of any defence: the same after screening


@dataclasses.dataclass(frozen=True)
class Task:
    """One training: the setting, its data and split, the seed, and who watches.

    `undefended` is a function of the task that gives the classifier of plain training where that is there already, as
    for the shadow models of several defences that only change what it serves; None trains it.
    """

    setting: object
    data: object
    split: mpreg.MembershipSplit
    seed: int
    callbacks: tuple = ()
    undefended: Callable | None = None

    def published(self, defence):
        """A defence's published options on this data set, or on the one it stands for; {} where there are none."""
        try:
            return mpreg.preset(defence, self.setting.dataset.removesuffix("-like"))
        except ValueError:
            return {}

    target = RenamedAttribute("build_model")

    def build_model(self):
        """Returns an untrained classifier, the same at each call."""
        return self.setting.build_model(self.data, self.seed)

    def build(self):
        """Returns an untrained, compiled classifier, with weights of its own at each call."""
        return self.setting.compile(self.setting.build_model(self.data))

    def build_student(self):
        """Returns the same as `build` with a third of the learning rate."""
        slow = self.setting.replace(learning_rate=self.setting.learning_rate / 3)
        return slow.compile(slow.build_model(self.data))

    def fit(self, model, *, epochs=None, callbacks=(), **options):
        """Trains a classifier or its wrapper on the members; returns it."""
        x, y = self.split.members
        self.setting.compile(model).fit(
            map_arrays(_as_floats, x),
            y,
            batch_size=self.setting.batch_size,
            epochs=epochs or self.setting.epochs,
            verbose=0,
            callbacks=[*self.callbacks, *callbacks],
            **options,
        )
        return model

    def trained(self, wrap=None):
        """A clean classifier that was trained inside a wrapper, or without one."""
        if wrap is None:
            return self.trained_anew() if self.undefended is None else self.undefended(self)
        model = self.fit(wrap(self.build_model()))
        return getattr(model, "target_model", model)

    def trained_anew(self):
        """The classifier of plain training."""
        return self.fit(self.build_model())


def _as_floats(array):
    """Bits are stored as whole numbers, which cannot be mixed."""
    return np.asarray(array, np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Defence:
    """A way to train a classifier, or to serve it.

    Attributes:
        name: as commands take it.
        build: function `(task, strength)` that returns the classifier to attack; `task` is a `Task`.
        source: the paper.
        knob: what `strength` is.
        strengths: its values for a sweep, from weak to strong; empty where there is nothing to turn.
        usual: strength by data set; `"*"` stands for all others.
        epochs: what it trains for by data set, as a share of the setting's epochs; all of them where nothing is said.
        consumes_reference: whether it learns from reference records, which may then leak themselves.
        guarantee: whether it bounds what any attacker learns, whatever the records.

    Raises:
        ValueError: a `build` that cannot be called.

    Example:
    ```python
    def clipped(task, norm):
        return task.fit(with_clipped_weights(task.build_model(), norm))

    mpreg.catalogue.register(
        Defence(name="clipped", build=clipped, source="us", knob="norm", strengths=(2.0, 1.0), usual={"*": 1.0})
    )
    ```
    """

    name: str
    build: Callable
    source: str
    knob: str = ""
    strengths: tuple = ()
    usual: dict = dataclasses.field(default_factory=dict)
    epochs: dict = dataclasses.field(default_factory=dict)
    consumes_reference: bool = False
    guarantee: bool = False

    def __post_init__(self):
        if not callable(self.build):
            raise ValueError(
                f"build of the defence {self.name!r} must be a function (task, strength). Received: {self.build!r}"
            )

    def strength_for(self, dataset):
        """The usual strength on a data set."""
        return self.usual.get(dataset, self.usual.get(ANY))

    def epochs_for(self, setting):
        """The epochs that it trains for in a `Setting`, where plain training takes the setting's own."""
        share = self.epochs.get(setting.dataset, self.epochs.get(ANY, 1.0))
        return max(1, round(share * setting.epochs))

    def screened(self, **options):
        """Returns this defence after screening, named `screened-...`.

        A defence with a guarantee keeps it: its members are screened by reference records alone.

        Args:
            options: those of `ScreeningOptions`; of a defence with a guarantee, of `PublicScreeningOptions`.

        Example:
        ```python
        mpreg.catalogue.register(mpreg.catalogue.defence_of("relaxloss").screened(share=0.1))
        ```
        """
        how = PublicScreeningOptions(**options) if self.guarantee else ScreeningOptions(**options)
        return dataclasses.replace(
            self,
            name=f"{SCREENED}{self.name}",
            build=functools.partial(train_on_kept, self.build, how),
            source=f"{self.source}, after screening",
            consumes_reference=self.consumes_reference or self.guarantee,
        )

    def train(self, setting, data, split, *, seed, strength=None, callbacks=(), undefended=None):
        """The classifier trained and served with this defence; `strength` None is the usual one.

        `undefended` is as in `Task`.
        """
        if self.consumes_reference and split.reference is None:
            raise ValueError(
                f"the defence {self.name!r} learns from reference records, and the split has none"
            )
        keras.utils.set_random_seed(seed)
        strength = self.strength_for(setting.dataset) if strength is None else strength
        own = setting.replace(epochs=self.epochs_for(setting))
        kept = undefended if own == setting else None  # which was trained for the setting's epochs
        return self.build(Task(own, data, split, seed, tuple(callbacks), kept), strength)


def chosen(names):
    """The `Defence`s of a comma-separated list; "all" stands for all, and the undefended classifier comes first.

    Raises:
        ValueError: an unknown name; the message lists all names.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    wanted = list(DEFENCES) if wanted == ["all"] else list(dict.fromkeys(["undefended", *wanted]))
    return _known(wanted)


def defence_of(name):
    """The `Defence` of a name; `screened-` before the name of any stands for it after screening.

    Raises:
        ValueError: an unknown name; the message lists all names.
    """
    return _known([name])[0]


def _known(names):
    unknown = [name for name in names if not {name, name.removeprefix(SCREENED)} & set(DEFENCES)]
    if unknown:
        raise ValueError(
            f"defences must be of {', '.join(DEFENCES)}, or one of these after {SCREENED!r}, such as "
            f"{SCREENED}{next(iter(DEFENCES))}. Received: {', '.join(unknown)}"
        )
    return [
        DEFENCES[name] if name in DEFENCES else DEFENCES[name.removeprefix(SCREENED)].screened()
        for name in names
    ]
