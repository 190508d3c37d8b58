"""`protect`: measures a classifier, chooses a defence, trains it, attacks it, and writes all of it down."""

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

import mpreg
from mpreg._files import check_as_written
from mpreg._text import html_lines, percent, percent_with_interval
from mpreg._validate import check_count
from mpreg.catalogue import Setting, defence_of
from mpreg.catalogue.trained_by import TrainedBy
from mpreg.data import MembershipSplit, count_labels, label_indices
from mpreg.datasets import Dataset
from mpreg.progress import progress_bar
from mpreg.protection.attacker import MAX_SHADOWS, MIN_SHADOWS, attacked
from mpreg.protection.goal import Goal
from mpreg.protection.search import Search, climb
from mpreg.protection.trials import Job
from mpreg.protection.writing import CARD, write
from mpreg.recipes.writing import console
from mpreg.reports.notebook import notebook_html

MIN_REFERENCE = 20  # records, of which half are chosen by


@dataclasses.dataclass(frozen=True, eq=False)
class Protected:
    """A defended classifier and how it came about.

    Attributes:
        model: the clean Keras classifier.
        report: its `PrivacyReport`, on non-members that nothing was chosen by.
        comparison: the `Comparison` with the undefended classifier.
        search: what was tried, a `Search`.
        goal: the `Goal`.
        adaptive: with how many shadow models, trained with the same defence, it was attacked; 0 for none.
        out: folder of the files.
    """

    model: Any
    report: mpreg.PrivacyReport
    comparison: mpreg.Comparison
    search: Search
    goal: Goal
    adaptive: int
    out: Path

    @property
    def name(self) -> str:
        """Of the defence, with its strength."""
        return self.search.taken.name

    @property
    def attack(self) -> float:
        """The highest accuracy of any attack, on members or on reference records, with its interval."""
        reference = self.report.reference
        found = self.report.attack_accuracy
        return found if reference is None else max(found, reference.attack_accuracy)

    @property
    def loss(self) -> float:
        """Of test accuracy against the undefended classifier."""
        undefended = next(iter(self.comparison.reports.values()))
        return float(undefended.test_accuracy) - float(self.report.test_accuracy)

    @property
    def met(self) -> bool:
        """Whether the goal is met, on records that nothing was chosen by."""
        return self.goal.excess(float(self.attack), self.loss) == 0

    @property
    def why(self) -> str:
        """The choice and what came of it, as sentences."""
        search, taken = self.search, self.search.taken
        verb = "meets" if search.met else "comes nearest to"
        lines = [
            f"The goal: {self.goal}.",
            f"Taken: {taken.name}. Of the {len(search.trials)} trainings that were tried, from cheap to dear, it "
            f"{'is the first that ' if search.met else ''}{verb} the goal on validation halves of the reference "
            f"records (attack {percent_with_interval(taken.point.given_away)}, and a standard error for the choice, "
            f"{f'with {taken.adaptive}' if taken.adaptive else 'without'} shadow models; "
            f"test accuracy {percent(float(taken.point.test_accuracy))}).",
            f"The goal is {'met' if self.met else 'NOT met'} on the non-members, by which nothing was chosen: attack "
            f"{percent_with_interval(self.attack)}, {100 * abs(self.loss):.1f} points of test accuracy "
            f"{'lost' if self.loss > 0 else 'gained'}.",
        ]
        if search.met and not self.met:
            lines.append("A lower limit on the attack makes it climb further.")
        if self.adaptive:
            lines.append(f"The attacker trained {self.adaptive} shadow models with the same defence.")
        else:
            enough = search.spent + (1 + MIN_SHADOWS) * search.cost(taken)
            lines.append(
                "It was NOT attacked by shadow models trained with the same defence, which may show far more: the "
                f"budget of {self.goal.budget:g}x had no room for {MIN_SHADOWS}; {enough:.0f}x has."
            )
        if search.skipped:
            tried = {trial.defence for trial in search.trials}
            skipped = [
                f"{name} at further strengths" if name in tried else name
                for name in dict.fromkeys(search.skipped)
            ]
            lines.append(f"The budget had no room to try {', '.join(skipped)}.")
        return "\n".join(lines)

    def _repr_html_(self):
        return f"{notebook_html(self.comparison)}{html_lines(self.why)}"


def protect(
    build_fn: Callable[..., Any],
    split: MembershipSplit,
    *,
    max_attack: float = 0.60,
    max_loss: float = 0.03,
    budget: float = 20.0,
    epochs: int = 30,
    batch_size: int = 64,
    out: str | os.PathLike[str] = "mpreg-protect",
    seed: int = 0,
) -> Protected:
    """Finds the cheapest defence that keeps a classifier's training records from being told, and trains it.

    Defences are tried from cheap to dear (stopping early, weight decay, the min-max game, both, screening, split
    distillation), their strengths chosen on halves of the reference records alone. What is taken is trained, attacked
    on the non-members, by shadow models trained with the same defence where the budget allows, and written down. What
    was trained is kept in `out/steps`: called again, it goes on there.

    Args:
        build_fn: function without arguments that returns a fresh Keras classifier, compiled with the optimizer and the
            cross-entropy to train it by.
        split: a `MembershipSplit` of one array of records, with at least 20 reference records.
        max_attack: accuracy that no attack may exceed, above 0.5.
        max_loss: share of test accuracy that this may cost.
        budget: what may be spent on training, in multiples of one plain training.
        epochs, batch_size: of all trainings.
        out: the folder to write.
        seed: of weights and attacks.

    Returns:
        A `Protected`: `.model`, `.report`, `.comparison`, `.met` and `.why`. Where no defence meets the goal it is the
        nearest, and says so.

    Raises:
        ValueError: a split without reference records, options out of range, a model that is no classifier of one
            answer, or a model card in `out` that a person has changed.

    Example:
    ```python
    found = mpreg.protect(build_classifier, split, max_attack=0.55, out="protected")
    print(found.why)
    found.model.save("classifier.keras")
    ```
    """
    goal = Goal(max_attack=max_attack, max_loss=max_loss, budget=budget)
    setting, data = setting_of_function(build_fn, split, epochs=epochs, batch_size=batch_size)
    return run(Job(setting, data, split, check_count("seed", seed, 0), Path(out) / "steps"), goal, Path(out))


def run(job, goal, out, *, rebuild=()):
    """The `Protected` of a `Job`, and its folder.

    Args:
        job, goal: what is protected, and what is to be reached.
        out: the folder.
        rebuild: lines of the script that make `setting`, `data` and `split` again.
    """
    if job.split.reference is None or len(job.split.reference[1]) < MIN_REFERENCE:
        raise ValueError(
            f"strengths are chosen on halves of the reference records: the split must have at least {MIN_REFERENCE}"
        )
    check_as_written(out, [CARD])
    began = time.perf_counter()
    with progress_bar("protecting", round(10 * goal.budget)) as advance:
        search = climb(
            job,
            goal,
            told=lambda search, trial: _tell(search, trial, advance),
            busy=lambda words: advance(words, 0),
        )
        taken, plain_trial = search.taken, search.trials[0]
        advance("training undefended", 0)
        plain = job.train("undefended", None, job.split)
        count = _affordable(search)
        model, reports = plain, {}
        if taken.defence != "undefended":
            # By the shadow models that it was judged by before: they know of all records.
            reports["undefended"] = attacked(
                job, plain, "undefended", None, plain_trial.adaptive, validation=False
            )
            advance(f"training {taken.name}", 0)
            model = job.train(taken.defence, taken.strength, job.split)
        else:
            reports["undefended"] = mpreg.evaluate(plain, job.split, seed=job.seed)
        report = attacked(
            job,
            model,
            taken.defence,
            taken.strength,
            count,
            validation=False,
            told=lambda words: advance(words, round(10 * search.cost(taken))),
        )
    name = taken.name if taken.defence != "undefended" else "undefended, attacked adaptively"
    comparison = mpreg.compare({**reports, name: report})
    found = Protected(model, report, comparison, search, goal, count, out)
    write(found, job, rebuild=rebuild, seconds=time.perf_counter() - began)
    return found


def _tell(search, trial, advance):
    left = search.goal.budget - search.spent
    point, spent = trial.point, trial.shadow_seconds if trial.adaptive else trial.seconds
    advance(trial.name, round(10 * spent / search.plain_seconds))
    by = f" by {trial.adaptive} shadow models" if trial.adaptive else ""
    console.print(
        f"{trial.name}: test {percent(float(point.test_accuracy))}, attack {percent_with_interval(point.given_away)}"
        f"{by}; {search.spent:.1f}x of {search.goal.budget:g}x, at most {left * search.plain_seconds:.0f} s of "
        "training left",
        soft_wrap=True,
    )


def _affordable(search):
    """How many shadow models the rest of the budget trains, 0 where too few."""
    taken, cost = search.taken, max(search.cost(search.taken), 1e-9)
    reused = 0 if defence_of(taken.defence).consumes_reference else taken.adaptive
    count = min(MAX_SHADOWS, reused + int((search.goal.budget - search.spent - 1 - cost) / cost))
    return max(count, reused) if count >= MIN_SHADOWS else reused


def setting_of_function(build_fn, split, *, epochs, batch_size):
    """The `Setting` of a function that builds a classifier, and the `Dataset` of a split."""
    if not callable(build_fn):
        raise ValueError(
            f"build_fn must be a function that returns a compiled Keras model. Received: {build_fn!r}"
        )
    if not isinstance(split, mpreg.MembershipSplit) or not hasattr(split.members[0], "shape"):
        raise ValueError("split must be a mpreg.MembershipSplit of one array of records")
    x, y = split.members
    labels = label_indices(y)
    data = Dataset(
        name="own", features=x, labels=labels, classes=count_labels(y), description="records in memory"
    )
    trained_by = TrainedBy.from_model(build_fn())
    setting = Setting(
        dataset="own",
        members=len(labels),
        reference=0 if split.reference is None else len(split.reference[1]),
        network=BuiltBy(build_fn),
        trained_by=trained_by,
        learning_rate=trained_by.learning_rate,
        epochs=check_count("epochs", epochs, 1),
        batch_size=check_count("batch_size", batch_size, 1),
    )
    return setting, data


@dataclasses.dataclass(frozen=True)
class BuiltBy:
    """A network that a function builds."""

    build: object

    def __call__(self, shape, classes, seed):
        """A fresh classifier."""
        keras.utils.set_random_seed(seed)
        return self.build()
