"""Time of the attacks that need no shadow models, beside those of tensorflow-empirical-privacy where it is installed.

    python benchmarks/attacks.py
    python benchmarks/attacks.py --quick --json attacks.json

Random logits of as many members as non-members. Every way takes a turn in each round of one process, and the median
over the rounds counts. Processor time stands beside the time on the clock: on a busy machine it is the steadier of the
two. The peer's thresholds on loss and on modified entropy are set against ours, for all records and once more with a
threshold (the peer: a slice) for each class; ours include reading the logits, the gap attack, cross-fitting and all
intervals. The areas under the ROC of both are printed, for a faster answer must be the same answer.
"""

import importlib
import sys
import warnings

import joblib
import numpy as np
from rounds import (
    CLOCKS,
    machine,
    open_console,
    open_parser,
    open_table,
    positive,
    print_setting,
    ratios,
    take_turns,
    timed,
    write_json,
)

import mpreg
from mpreg.attacks import ThresholdAttack

PEER = "tensorflow_privacy.privacy.privacy_tests.membership_inference_attack"
SIGNALS = "loss", "modified entropy"
FAST, GLOBAL, PER_CLASS = "fast suite", "two thresholds", "the same, also per class"
PEER_GLOBAL, PEER_PER_CLASS = "peer, two thresholds", "peer, also by class"
PAIRS = ((GLOBAL, PEER_GLOBAL), (PER_CLASS, PEER_PER_CLASS))


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    if options.quick:
        options.records, options.classes, options.rounds = 2_000, 10, 2
    sides = [
        random_answers(options.records, options.classes, seed=seed, margin=8 - 4 * seed) for seed in (0, 1)
    ]
    ways = open_ways(sides)
    result = {
        "machine": machine("numpy"),
        "size": {"records": options.records, "classes": options.classes, "rounds": options.rounds},
        "areas": {name: way() for name, way in ways.items()},  # all of them are warm from here on
        "seconds": measure(ways, options.rounds),
    }
    print_result(result)
    write_json(options.json, result)
    return 0


def open_ways(sides):
    """By name, a function without arguments that attacks and returns the area under the ROC by signal."""
    thresholds = [ThresholdAttack(signal) for signal in SIGNALS]
    per_class = [ThresholdAttack(signal, per_class=True) for signal in SIGNALS]
    ways = {
        FAST: lambda: attack(sides, "fast"),
        GLOBAL: lambda: attack(sides, thresholds),
        PER_CLASS: lambda: attack(sides, [*thresholds, *per_class]),
    }
    peer = load_peer()
    if peer:
        ways[PEER_GLOBAL] = lambda: peer(sides, by_class=False)
        ways[PEER_PER_CLASS] = lambda: peer(sides, by_class=True)
    return ways


def attack(sides, attacks):
    """Area under the ROC of the thresholds for all records, by signal."""
    report = mpreg.evaluate_predictions(*sides[0], *sides[1], attacks=attacks, from_logits=True)
    return {signal: float(report.attacks[f"{signal} threshold"].auc) for signal in SIGNALS}


def load_peer():
    """A function `(sides, by_class)` that runs the peer's attacks as ours, or None where it is not installed."""
    _lend_what_scikit_learn_renamed()
    sys.skip_tf_privacy_import = True  # or else it imports optimizers that Keras 3 does not have
    try:
        attacks = importlib.import_module(f"{PEER}.membership_inference_attack")
        data = importlib.import_module(f"{PEER}.data_structures")
    except ImportError:
        return None
    finally:
        del sys.skip_tf_privacy_import
    types = data.AttackType.THRESHOLD_ATTACK, data.AttackType.THRESHOLD_ENTROPY_ATTACK

    def peer(sides, *, by_class):
        (members, member_labels), (nonmembers, nonmember_labels) = sides
        given = data.AttackInputData(
            logits_train=members,
            labels_train=member_labels,
            logits_test=nonmembers,
            labels_test=nonmember_labels,
        )
        slicing = data.SlicingSpec(entire_dataset=True, by_class=by_class)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = attacks.run_attacks(given, slicing_spec=slicing, attack_types=types).single_attack_results
        return {signal: float(one.get_auc()) for signal, one in zip(SIGNALS, found, strict=False)}

    return peer


def _lend_what_scikit_learn_renamed():
    """The peer was written for scikit-learn 1.4, and uses names that have moved since."""
    from sklearn import utils
    from sklearn.metrics import _ranking

    if not hasattr(utils, "parallel_backend"):
        utils.parallel_backend = joblib.parallel_backend
    if not hasattr(_ranking, "_binary_clf_curve"):

        def binary_clf_curve(y_true, y_score, pos_label=None, sample_weight=None):
            _, fps, _, tps, thresholds = _ranking.confusion_matrix_at_thresholds(
                y_true, y_score, pos_label=pos_label, sample_weight=sample_weight
            )
            return fps, tps, thresholds

        _ranking._binary_clf_curve = binary_clf_curve


def measure(ways, rounds):
    """Seconds by way and by clock, a list with a value a round."""
    turns = {name: lambda way=way: timed(way)[1] for name, way in ways.items()}
    return take_turns(lambda: turns, rounds)


def random_answers(records, classes, *, seed, margin):
    """Logits that favour the label by a random part of the margin, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, records)
    logits = 2 * rng.standard_normal((records, classes), np.float32)
    logits[np.arange(records), labels] += margin * rng.exponential(size=records)
    return logits, labels


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = open_console()
    seconds = result["seconds"]
    table = open_table(
        console, "", "seconds", "range", "processor time", "AUC of loss", "of modified entropy"
    )
    for name, clocks in seconds.items():
        wall, processor = clocks["wall"], clocks["processor"]
        table.add_row(
            name,
            f"{np.median(wall):.2f}",
            f"{min(wall):.2f} to {max(wall):.2f}",
            f"{np.median(processor):.2f}",
            *(f"{result['areas'][name][signal]:.5f}" for signal in SIGNALS),
        )
    console.print(table)
    if PEER_GLOBAL not in seconds:
        console.print("tensorflow-empirical-privacy is not installed: nothing to compare with.")
    for ours, peers in PAIRS:
        if peers in seconds:
            wall, processor = (ratios(seconds, peers, to=ours, clock=clock)[0] for clock in CLOCKS)
            console.print(
                f"{ours}: the peer takes {wall:.1f} times as long, and {processor:.1f} times the processor time "
                "(medians over rounds)."
            )
    size = result["size"]
    print_setting(
        console,
        f"{size['records']:,} members and {size['records']:,} non-members, {size['classes']} classes, "
        f"{size['rounds']} rounds.",
        result["machine"],
    )


def _parser():
    parser = open_parser(__doc__, quick="2 rounds of 2,000 records, for a first impression")
    parser.add_argument("--records", type=_several, default=50_000, help="of either side (default: 50,000)")
    parser.add_argument("--classes", type=_several, default=100, help="default: 100")
    parser.add_argument("--rounds", type=positive, default=5, help="to take the median over (default: 5)")
    return parser


def _several(text):
    return positive(text, least=2)


if __name__ == "__main__":
    sys.exit(main())
