"""A federation and its attackers: a passive participant, a passive server, one that raises losses, one that isolates.

Four participants train one model on a fourth of the members each. The records of the first are sought, among as many of
nobody. Each attacker knows the membership of four fifths of them and judges the last fifth, in turn. Losses are raised
from the first round on: once members are known by heart, their gradients are too small to climb.
"""

from pathlib import Path

import click
import keras
import numpy as np

import mpreg
from mpreg._files import write_all, write_json
from mpreg._text import markdown_table, percent_with_interval
from mpreg._validate import check_count
from mpreg.attacks import TrajectoryAttack
from mpreg.catalogue import SETTINGS, setting_of
from mpreg.data import take
from mpreg.federated import AlignmentAttack, Federation, GradientAscent, Isolation, ReboundAttack, Watch
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.writing import console, print_table
from mpreg.reports.rounds import plot_rounds

PARTICIPANTS, VICTIM = 4, 0
ISOLATED, RAISED = 5, 10  # rounds in which a server is not honest
KEPT = 5  # rounds whose weights are attacked together


def run(dataset="location30", *, members=None, rounds=30, out=None, seed=0):
    """Attacks a federation by all means, prints what each finds, and writes the table and a picture of the rounds.

    Args:
        dataset: a name in `mpreg.catalogue.SETTINGS`.
        members: of all participants together; None is as many as the setting has.
        rounds: honest ones, at least 5.
        out: folder for `federation.md`, `federation.json` and `rounds.png`; None is `mpreg-federation/<dataset>`.
        seed: of the split, the weights and the attacks.

    Returns:
        A dict of the accuracy, the AUC and the TPR at 1 % FPR by attacker, `Estimate`s.

    Raises:
        ValueError: an unknown data set, or fewer than five rounds.
    """
    check_count("rounds", rounds, KEPT)
    setting = setting_of(SETTINGS, dataset).replace(members=members)
    out = Path(out) if out else Path("mpreg-federation") / dataset
    data, split = setting.draw(seed)
    share = len(split.members[1]) // PARTICIPANTS
    parts = [take(split.members, slice(at * share, (at + 1) * share)) for at in range(PARTICIPANTS)]
    judged = mpreg.MembershipSplit(parts[VICTIM], None, take(split.nonmembers, slice(0, share)))
    console.print(f"{data.description}\n{PARTICIPANTS} participants of {share} records; judged: {judged}")
    keras.utils.set_random_seed(seed)
    model = setting.build_model(data, seed)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    initial, found = model.get_weights(), {}
    federation = Federation(model, parts, batch_size=64, seed=seed)

    def judge(attacker, attacks):
        report = mpreg.evaluate(model, judged, attacks=attacks, seed=seed)
        names = list(report.attacks) if attacks == "standard" else [attack.name for attack in attacks]
        best = max((report.attacks[name] for name in names), key=lambda attack: float(attack.auc))
        figures = {"accuracy": best.accuracy, "AUC": best.auc, "TPR at 1 % FPR": best.tpr_at_fpr[0.01]}
        found[attacker] = {"strongest": best.name, **figures}

    kept = [round(at) for at in np.linspace(1, rounds, KEPT)]
    served, returned = Watch(rounds=kept), Watch(participant=VICTIM, rounds=kept, updates=True)
    with progress_bar("rounds", rounds + ISOLATED + RAISED) as advance:
        for _ in range(rounds):
            federation.run(1, server=[served, returned])
            advance("honest")
        judge("sees the model's answers", "standard")
        judge("a participant: the model of several rounds", [TrajectoryAttack(served.snapshots)])
        judge("the server: what came back in several rounds", [TrajectoryAttack(returned.snapshots)])
        judge("the server: updates beside gradients", [AlignmentAttack(returned, participant=VICTIM)])
        isolation, alone = Isolation(participant=VICTIM), Watch(participant=VICTIM)
        for _ in range(ISOLATED):
            federation.run(1, server=[isolation, alone])
            advance("isolating")
        model.set_weights(alone.snapshots.weights(alone.snapshots.epochs[-1]))
        judge("a server that isolates: answers of what came back", "standard")
        model.set_weights(initial)
        anew = Federation(model, parts, batch_size=64, seed=seed)
        ascent = GradientAscent(_both_sides(judged), participant=VICTIM)
        for _ in range(RAISED):
            anew.run(1, server=ascent)
            advance("raising losses")
        judge("a server that raises losses: how they fall again", [ReboundAttack(ascent)])
    header = ["attacker", *next(iter(found.values()))]
    lines = [[name, *map(_said, figures.values())] for name, figures in found.items()]
    title = f"{dataset}, {PARTICIPANTS} participants, {rounds} rounds"
    print_table(title, header, lines)
    text = f"# {title}\n\n{data.description}\n\n{markdown_table(header, lines)}\n\n![Losses by round](rounds.png)\n"
    write_all(out, {"federation.md": text})
    plain = {
        name: {key: value if isinstance(value, str) else value.to_dict() for key, value in figures.items()}
        for name, figures in found.items()
    }
    write_json(plain, out / "federation.json")
    plot_rounds(*ascent.curves(np.arange(2 * share) < share), out / "rounds.png")
    console.print(f"95 % intervals; guessing is 50 %. Table and picture: {out}")
    return found


def _both_sides(split):
    (x, y), (other_x, other_y) = split.members, split.nonmembers
    return np.concatenate([x, other_x]), np.concatenate([y, other_y])


def _said(value):
    return value if isinstance(value, str) else percent_with_interval(value)


@click.command(help=__doc__.partition("\n")[0])
@options.dataset(SETTINGS)
@click.option("--members", type=click.IntRange(min=40), help="Of all participants together.")
@click.option("--rounds", type=click.IntRange(min=KEPT), default=30, show_default=True, help="Honest ones.")
@options.out
@options.seed
def command(**given):
    run(**given)
