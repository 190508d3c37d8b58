"""Time of the attacks that need no shadow models, beside those of tensorflow-empirical-privacy where it is installed.

    python benchmarks/attacks.py
    python benchmarks/attacks.py --quick --json attacks.json

Random logits of as many members as non-members. Every way takes a turn in each round of one process, and the median
over the rounds counts. Processor time stands beside the time on the clock: on a busy machine it is the steadier of the
two. The peer's thresholds on loss and on modified entropy are set against ours, for all records and once more with a
threshold (the peer: a slice) for each class; ours include reading the logits, the gap attack, cross-fitting and all
intervals. The areas under the ROC of both are printed, for a faster answer must be the same answer.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
import warnings

import joblib
import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import mpreg
from mpreg.attacks import ThresholdAttack

PEER = "tensorflow_privacy.privacy.privacy_tests.membership_inference_attack"
SIGNALS = "loss", "modified entropy"
FAST, GLOBAL, PER_CLASS = "fast suite", "two thresholds", "the same, also per class"
PEER_GLOBAL, PEER_PER_CLASS = "peer, two thresholds", "peer, also by class"
PAIRS = ((GLOBAL, PEER_GLOBAL), (PER_CLASS, PEER_PER_CLASS))
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


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
        "machine": machine(),
        "size": {"records": options.records, "classes": options.classes, "rounds": options.rounds},
        "areas": {name: way() for name, way in ways.items()},  # all of them are warm from here on
        "seconds": measure(ways, options.rounds),
    }
    print_result(result)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    return 0


def open_ways(sides):
    """By name, a function of nothing that attacks and returns the area under the ROC by signal."""
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
    seconds = {name: {clock: [] for clock in CLOCKS} for name in ways}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for turn in progress.track(range(rounds), description="measuring"):
            # Back and forth, so that none always follows the same neighbour.
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                began = {clock: read() for clock, read in CLOCKS.items()}
                ways[name]()
                for clock, read in CLOCKS.items():
                    seconds[name][clock].append(read() - began[clock])
    return seconds


def random_answers(records, classes, *, seed, margin):
    """Logits that favour the label by a random part of the margin, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, records)
    logits = 2 * rng.standard_normal((records, classes), np.float32)
    logits[np.arange(records), labels] += margin * rng.exponential(size=records)
    return logits, labels


def machine():
    """What a reader needs in order to compare figures."""
    return {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "processor": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    seconds = result["seconds"]
    table = Table(box=box.SIMPLE if console.is_terminal else box.ASCII2)
    for name in ("", "seconds", "range", "processor time", "AUC of loss", "of modified entropy"):
        table.add_column(name, justify="right" if name else "left")
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
            each = {clock: np.divide(seconds[peers][clock], seconds[ours][clock]) for clock in CLOCKS}
            console.print(
                f"{ours}: the peer takes {np.median(each['wall']):.1f} times as long, and "
                f"{np.median(each['processor']):.1f} times the processor time (medians over rounds)."
            )
    size, facts = result["size"], result["machine"]
    console.print(
        f"{size['records']:,} members and {size['records']:,} non-members, {size['classes']} classes, "
        f"{size['rounds']} rounds. {facts['cores']} cores ({facts['processor']}), NumPy {facts['numpy']}, "
        f"Python {facts['python']}."
    )
    if facts["load_average"] is not None:
        console.print(f"Load average before the start: {facts['load_average']:.1f}.")


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=_several, default=50_000, help="of either side (default: 50,000)")
    parser.add_argument("--classes", type=_several, default=100, help="default: 100")
    parser.add_argument("--rounds", type=_positive, default=5, help="to take the median over (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="2 rounds of 2,000 records, for a first impression"
    )
    parser.add_argument("--json", metavar="PATH", help="also write the figures to this file")
    return parser


def _several(text):
    return _positive(text, least=2)


def _positive(text, least=1):
    if (number := int(text)) < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}. Received: {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
