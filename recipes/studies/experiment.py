"""One experiment, shared by the recipes: train a classifier without and with a defence, attack both, write it down."""

import dataclasses
import random
import sys
from collections.abc import Callable
from pathlib import Path

import click
import keras
from rich.console import Console
from rich.table import Table
from rich.text import Text

import mpreg
from mpreg.callbacks import PrivacyMeter
from mpreg.data import take
from mpreg.reports.figures import plot_histograms, plot_roc

console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 140)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """How a data set is split and its classifier trained.

    Attributes:
        dataset: a name of `mpreg.datasets`.
        members, reference, nonmembers: records a role; None takes all that are left as non-members.
        network: function `(record shape, classes, seed)` of a Keras classifier with softmax answers.
        learning_rate: of Adam, for the classifier without and with defence.
        epochs: without and with defence, so that stopping early is not taken for the defence's doing.
        penalty: weight of the gain, for the defended classifier.
        batch_size: members a step.
    """

    dataset: str
    members: int
    reference: int
    nonmembers: int | None = None
    network: Callable
    learning_rate: float
    epochs: int
    penalty: float = 0.0
    batch_size: int = 128

    def but(self, **changes):
        """A copy with some values changed; None keeps the value."""
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
        data = mpreg.datasets.load(self.dataset)
        split = mpreg.MembershipSplit.from_arrays(
            data.features,
            data.labels,
            members=self.members,
            reference=self.reference,
            nonmembers=self.nonmembers,
            seed=seed,
            duplicates="drop",
        )
        return data, validation_part(split) if validation else split

    def target(self, data, seed):
        """A fresh classifier for the data."""
        return self.network(data.features.shape[1:], data.classes, seed)

    def compiled(self, model):
        """The classifier, ready to be trained."""
        model.compile(
            keras.optimizers.Adam(self.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return model

    def fresh(self, data):
        """A classifier with weights of its own at each call, which follow Keras' global seed."""
        return self.target(data, random.randrange(2**31))


def validation_part(split):
    """A split of the same members whose reference is the first half of the reference, its non-members the other."""
    half = len(split.reference[1]) // 2
    first, second = slice(None, half), slice(half, None)
    return mpreg.MembershipSplit(split.members, take(split.reference, first), take(split.reference, second))


def setting_of(settings, dataset):
    """The setting of a data set, of a dict by name.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if dataset not in settings:
        raise ValueError(f"dataset must be one of {', '.join(settings)}. Received: {dataset!r}")
    return settings[dataset]


def table(build):
    """A `Setting.network` of a builder for records of one axis."""
    return lambda shape, classes, seed: build(features=shape[0], classes=classes, seed=seed)


def images(build):
    """A `Setting.network` of a builder for images."""
    return lambda shape, classes, seed: build(input_shape=shape, classes=classes, seed=seed)


def train_undefended(setting, data, split, *, seed, callbacks=()):
    """Plain training; returns the classifier."""
    keras.utils.set_random_seed(seed)
    model = setting.target(data, seed)
    _fit(model, setting, split, callbacks)
    return model


def train_defended(setting, data, split, *, seed, callbacks=()):
    """Adversarial regularization; returns the classifier."""
    keras.utils.set_random_seed(seed)
    model = mpreg.AdversarialRegularization(
        setting.target(data, seed), split.reference, penalty=setting.penalty, seed=seed
    )
    _fit(model, setting, split, callbacks)
    return model.target_model


def _fit(model, setting, split, callbacks):
    setting.compiled(model).fit(
        *split.members,
        batch_size=setting.batch_size,
        epochs=setting.epochs,
        verbose=0,
        callbacks=list(callbacks),
    )


class EpochBar(keras.callbacks.Callback):
    """Moves a progress bar on by one each epoch and shows the latest figures beside it."""

    def __init__(self, advance):
        super().__init__()
        self._advance = advance

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        shown = ("train_accuracy", "test_accuracy", "attack_accuracy")
        self._advance(" ".join(f"{name.split('_')[0]} {logs[name]:.3f}" for name in shown if name in logs))


def watch(split, log_dir, advance):
    """The callbacks of a run that is looked at: the meter, TensorBoard behind it, and the bar."""
    return [
        PrivacyMeter(split, log_dir=log_dir),
        keras.callbacks.TensorBoard(log_dir, write_graph=False),
        EpochBar(advance),
    ]


def write_comparison(comparison, out, *, title, notes=()):
    """Writes `report.html`, `report.json`, `report.md`, `roc.png` and `histograms.png` into the folder `out`."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    comparison.to_json(out / "report.json")
    comparison.to_html(out / "report.html", title=title)
    parts = [f"# {title}", *notes, comparison.to_markdown()]
    parts += [f"## {name}\n\n{report.to_markdown()}" for name, report in comparison.reports.items()]
    parts += ["![ROC curves](roc.png)", "![Score histograms](histograms.png)"]
    (out / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    plot_roc(comparison, out / "roc.png")
    plot_histograms(comparison, out / "histograms.png")


def print_table(title, header, rows):
    """A table on standard output."""
    table = Table(title=title, title_justify="left")
    for name in header:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(Text, row))  # Text, because intervals are not markup
    console.print(table)


def run_command(function, **options):
    """Runs a command; what the user can mend is a message, not a traceback."""
    try:
        function(**options)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
