"""DP-SGD at epsilon 1, 2, 4 and 8: its cost in accuracy, and the results of attacks and an audit.

The seed's table of private training, with the strongest attack and an audit by canaries beside it. One row more, "high
accuracy", has hardly any noise: its epsilon of millions guarantees nothing, but it is the defence that did best
against attacks in the comparison of Aerni, Zhang and Tramer, "Evaluations of Machine Learning Privacy Defenses are
Misleading", CCS 2024. Trained as in Tramer and Boneh, "Differentially Private Learning Needs Better Features (or Much
More Data)", ICLR 2021, section 4, and De et al., "Unlocking High-Accuracy Differentially Private Image Classification
through Scale", 2022, section 3: Poisson-sampled large batches, a small clip norm, momentum, group normalization, tanh.
"""

import dataclasses
from pathlib import Path

import click

import mpreg
from mpreg._files import write_all
from mpreg._text import markdown_table, percent, percent_with_interval
from mpreg.catalogue import setting_of
from mpreg.catalogue.private import DELTA, PRIVATE, USUAL
from mpreg.catalogue.settings import CIFAR10, DIGITS, LOCATION30
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.training import train_undefended
from mpreg.recipes.writing import console, print_table

NONE, HIGH_ACCURACY = "none", "high accuracy"
BUDGETS = (8.0, 4.0, 2.0, 1.0)
EPSILONS = {f"epsilon {epsilon:g}": epsilon for epsilon in BUDGETS}
LITTLE_NOISE = 0.00625  # Aerni et al., their DP-SGD with high accuracy
CANARIES = 200
# Train and test accuracy of the seed's slides, by row.
PUBLISHED = {
    "cifar10": {
        NONE: (0.944, 0.737),
        "epsilon 8": (0.686, 0.681),
        "epsilon 4": (0.608, 0.607),
        "epsilon 2": (0.450, 0.450),
        "epsilon 1": (0.247, 0.253),
    },
    "digits": {  # of MNIST
        NONE: (0.999, 0.970),
        "epsilon 8": (0.937, 0.932),
        "epsilon 4": (0.909, 0.906),
        "epsilon 2": (0.874, 0.870),
        "epsilon 1": (0.762, 0.757),
    },
}


SETTINGS = {
    "digits": DIGITS.replace(members=1_000, reference=300, network="tanh_mlp", epochs=60, batch_size=32),
    "location30": LOCATION30.replace(network="tanh_mlp", epochs=60, batch_size=64),
    "cifar10": CIFAR10.replace(members=8_000, nonmembers=8_000, network="tanh_cnn", epochs=20, batch_size=64),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """What one way of training came to.

    Attributes:
        report: a `PrivacyReport`.
        epsilon: what is claimed at `DELTA`; None without privacy.
        audit: a `DPAudit`, of the same training with canaries among the members.
    """

    report: object
    epsilon: float | None
    audit: object


def run(
    dataset="digits",
    *,
    private=None,
    epsilons=BUDGETS,
    canaries=CANARIES,
    members=None,
    epochs=None,
    out=None,
    seed=0,
):
    """Trains, attacks and audits every row, prints the table and writes the folder `out`.

    Args:
        dataset: a name in `SETTINGS`, or a `Setting`.
        private: `Private` options of the training with privacy; None as in `PRIVATE`, or as usual.
        epsilons: budgets, a row each.
        canaries: of the audit of a row; at most the members.
        members: members; None as in `SETTINGS`.
        epochs: of all trainings; None as in `SETTINGS` and `PRIVATE`.
        out: folder for the reports; None is `mpreg-dpsgd/<dataset>`.
        seed: seed of the split, the weights, the attacks and the audits' canaries. The noise of private training comes
            from the operating system, so figures differ a little from run to run.

    Returns:
        The `Row`s by name.

    Raises:
        ValueError: an unknown data set.
    """
    setting = setting_of(SETTINGS, dataset).replace(members=members, epochs=epochs)
    private = private or PRIVATE.get(setting.name, USUAL)
    private = dataclasses.replace(
        private, epochs=epochs or private.epochs, batch_size=min(private.batch_size, setting.members)
    )
    out = Path(out) if out else Path("mpreg-dpsgd") / setting.name
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    found = {}
    budgets = {NONE: None, HIGH_ACCURACY: None, **{f"epsilon {epsilon:g}": epsilon for epsilon in epsilons}}
    canaries = min(canaries, setting.members)
    with progress_bar("training and attacking", len(budgets)) as advance:
        for name, budget in budgets.items():
            found[name] = train_row(name, budget, setting, private, data, split, canaries=canaries, seed=seed)
            advance(name)
    header, rows = rows_of(found, PUBLISHED.get(setting.name, {}))
    published = {"digits": "; published: MNIST", "cifar10": "; published: CIFAR-10"}.get(setting.name, "")
    print_table(f"{setting.name}, delta {DELTA:g}{published}", header, rows)
    mpreg.compare({name: row.report for name, row in found.items()}).to_json(_made(out) / "report.json")
    text = f"# DP-SGD: {setting.name}\n\n{data.description} {split}\n\n{markdown_table(header, rows)}\n\n"
    audits = "\n".join(f"- {name}: {row.audit}" for name, row in found.items())
    write_all(out, {"report.md": f"{text}## Audits\n\n{audits}\n"})
    console.print(f"{split}; 95 % intervals; guessing is 50 %.\nReports: {out}")
    return found


def train_row(name, budget, setting, private, data, split, *, canaries, seed):
    """Trains, attacks and audits one row."""
    if name == NONE:
        target, epsilon, noise = train_undefended(setting, data, split, seed=seed), None, 0.0
    else:
        model = train_private(name, budget, setting, private, data, split, seed=seed)
        target, epsilon, noise = model.target_model, model.privacy_spent().epsilon, model.noise_multiplier
    report = mpreg.evaluate(target, split, seed=seed)
    return Row(report, epsilon, audit(noise, setting, private, data, split, canaries=canaries, seed=seed))


def train_private(name, budget, setting, private, data, split, *, seed):
    """A `DPSGD`, trained on the members at the row's epsilon."""
    target = setting.build_model(data, seed)
    clip = {"l2_norm_clip": private.l2_norm_clip, "delta": DELTA}
    if name == HIGH_ACCURACY:
        model = mpreg.DPSGD(target, noise_multiplier=LITTLE_NOISE, **clip)
    else:
        plan = {"examples": setting.members, "batch_size": private.batch_size, "epochs": private.epochs}
        model = mpreg.DPSGD.for_budget(target, epsilon=budget, **plan, **clip)
    private.compile(model)
    model.fit(
        mpreg.poisson_batches(*split.members, batch_size=private.batch_size),
        epochs=private.epochs,
        verbose=0,
    )
    return model


def audit(noise, setting, private, data, split, *, canaries, seed):
    """The audit of a training with this noise; without any, neither clips it nor is it other than plain training."""
    target = setting.build_model(data, seed)
    if noise:
        model = mpreg.DPSGD(target, noise_multiplier=noise, l2_norm_clip=private.l2_norm_clip, delta=DELTA)
        size, epochs = private.batch_size, private.epochs
        private.compile(model)
    else:
        model = mpreg.DPSGD(target, noise_multiplier=0.0, l2_norm_clip=float("inf"), delta=DELTA)
        size, epochs = setting.batch_size, setting.epochs
        setting.compile(model)
    return mpreg.audit_dp(model, split.members, batch_size=size, epochs=epochs, canaries=canaries, seed=seed)


def rows_of(found, published):
    """Header and rows: the figures of every row, and what is published of it."""
    header = [
        "training",
        "epsilon",
        "train",
        "test",
        "strongest attack",
        "audited epsilon",
        "published: train / test",
    ]
    rows = []
    for name, row in found.items():
        report, figures = row.report, published.get(name)
        rows.append(
            [
                name,
                "-" if row.epsilon is None else f"{row.epsilon:.3g}",
                percent(report.train_accuracy),
                percent(report.test_accuracy),
                f"{percent_with_interval(report.attack_accuracy)} {report.strongest.name}",
                f"at least {row.audit.epsilon_lower_bound:.2f}",
                " / ".join(percent(figure) for figure in figures) if figures else "-",
            ]
        )
    return header, rows


def _made(out):
    out.mkdir(parents=True, exist_ok=True)
    return out


@click.command(help=__doc__.partition("\n")[0])
@options.dataset(SETTINGS, "digits")
@click.option(
    "--epsilon",
    "epsilons",
    type=float,
    multiple=True,
    default=BUDGETS,
    show_default=True,
    help="Epsilon of a row; may be given several times.",
)
@click.option(
    "--canaries",
    type=click.IntRange(min=1),
    default=CANARIES,
    show_default=True,
    help="Canaries in the audit of each row.",
)
@click.option("--members", type=click.IntRange(min=20), help="Members.")
@options.epochs
@options.out
@options.seed
def command(**given):
    run(**given)
