"""Time of the attacks that need no shadow models, beside those of peers.

    python benchmarks/attacks.py
    python benchmarks/attacks.py --quick --json attacks.json
    python benchmarks/attacks.py --peer tensorflow-empirical-privacy=/opt/peer/bin/python --peer art=/opt/art/bin/python

Random logits of as many members as non-members. Every way takes a turn in each round, and the median over the rounds
counts. Processor time stands beside the time on the clock: on a busy machine it is the steadier of the two. Ours
include reading the logits, the gap attack, cross-fitting and all intervals.

Each `--peer` is a process of its own (`attacks_peers.py`) that takes turns with this one. The thresholds of
tensorflow-empirical-privacy on loss and on modified entropy are set against ours, for all records and once more with a
threshold (the peer: a slice) for each class. Attacks that learn judge some of the records, for the peers' take minutes,
and its logistic regression, which comes nearest to our trained attack, judges all of them too.
privacy-meter's threshold is set by half of the non-members and judged on the others.

A faster answer must be the same answer: the benchmark fails where thresholds differ in the area under the ROC, or where
our trained attack has less than a peer's. On these answers it has more: members differ from others in the loss alone,
which ART's classifiers do not see. So the areas do not rank attacks on real models.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import numpy as np
from answers import judge, random_sides
from peers import Peer, add_option, print_peers
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

from mpreg.attacks import ThresholdAttack, TrainedAttack

PEERS = Path(__file__).with_name("attacks_peers.py")
SIGNALS = "loss", "modified entropy"
FAST, GLOBAL, PER_CLASS = "fast suite", "two thresholds", "the same, also per class"
TRAINED, TRAINED_ON_ALL = "trained attack on some", "trained attack on all"
METER = "privacy-meter, threshold on loss"
PAIRS = {
    "peer, two thresholds": GLOBAL,
    "peer, also by class": PER_CLASS,
    METER: GLOBAL,
    "peer, logistic regression on all": TRAINED_ON_ALL,
    "peer, logistic regression": TRAINED,
    "peer, neighbours": TRAINED,
    "peer, network": TRAINED,
    "ART, random forest": TRAINED,
    "ART, boosted trees": TRAINED,
    "ART, logistic regression": TRAINED,
}
# Areas that count as the same: of the same records, and where half of them are judged.
EQUAL, HALVED = 1e-3, 0.02


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    if options.quick:
        options.records, options.classes, options.rounds, options.some = 2_000, 10, 2, 500
    options.some = min(options.some, options.records)
    sides = random_sides(options.records, options.classes)
    ways = open_ways(sides, options.some)
    with contextlib.ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "answers.npz"
        write_sides(file, sides)
        peers = [stack.enter_context(Peer(asked, PEERS, file, options.some)) for asked in options.peer]
        areas = {name: way() for name, way in ways.items()}  # all of them are warm from here on
        for peer in peers:
            areas.update(peer.found)
        check_areas(areas)
        seconds = measure(ways, peers, options.rounds)
    result = {
        "machine": machine("numpy"),
        "size": {name: getattr(options, name) for name in ("records", "classes", "some", "rounds")},
        "areas": areas,
        "peers": {peer.name: peer.facts for peer in peers},
        "seconds": seconds,
    }
    print_result(result)
    write_json(options.json, result)
    return 0


def open_ways(sides, some):
    """By name, a function without arguments that attacks and returns areas under the ROC."""
    thresholds = [ThresholdAttack(signal) for signal in SIGNALS]
    per_class = [ThresholdAttack(signal, per_class=True) for signal in SIGNALS]
    few = [(logits[:some], labels[:some]) for logits, labels in sides]
    return {
        FAST: lambda: attack(sides, "fast"),
        GLOBAL: lambda: attack(sides, thresholds),
        PER_CLASS: lambda: attack(sides, [*thresholds, *per_class]),
        TRAINED: lambda: trained(few),
        TRAINED_ON_ALL: lambda: trained(sides),
    }


def attack(sides, attacks):
    """Area under the ROC of the thresholds for all records, by signal as in `SIGNALS`."""
    report = judge(sides, attacks)
    return [float(report.attacks[f"{signal} threshold"].auc) for signal in SIGNALS]


def trained(sides):
    """Area under the ROC of the trained attack."""
    return [float(judge(sides, [TrainedAttack()]).attacks["trained"].auc)]


def check_areas(areas):
    """Raises a `ValueError` where a peer's answer is another than ours, or a better one."""
    for peer, ours in PAIRS.items():
        if peer not in areas:
            continue
        if ours in (TRAINED, TRAINED_ON_ALL):
            same = areas[peer][0] <= areas[ours][0] + HALVED
        else:
            theirs = areas[peer][: len(SIGNALS)]
            tolerance = HALVED if peer == METER else EQUAL
            same = np.allclose(theirs, areas[ours][: len(theirs)], rtol=0, atol=tolerance)
        if not same:
            raise ValueError(
                f"{peer} has areas under the ROC of {areas[peer][: len(SIGNALS)]}, {ours} {areas[ours]}: their times "
                "do not compare"
            )


def measure(ways, peers, rounds):
    """Seconds by way and by clock, a list with a value a round."""
    turns = {name: lambda way=way: timed(way)[1] for name, way in ways.items()}
    for peer in peers:
        turns.update(peer.turns())
    return take_turns(lambda: turns, rounds)


def write_sides(path, sides):
    """Writes logits and labels of both sides for the peers to read."""
    (member_logits, member_labels), (other_logits, other_labels) = sides
    np.savez(
        path,
        member_logits=member_logits,
        member_labels=member_labels,
        other_logits=other_logits,
        other_labels=other_labels,
    )


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = open_console()
    seconds = result["seconds"]
    table = open_table(console, "", "seconds", "range", "processor time", "AUC")
    for name, clocks in seconds.items():
        wall, processor = clocks["wall"], clocks["processor"]
        table.add_row(
            name,
            f"{np.median(wall):.2f}",
            f"{min(wall):.2f} to {max(wall):.2f}",
            f"{np.median(processor):.2f}",
            " / ".join(f"{area:.5f}" for area in result["areas"][name][: len(SIGNALS)]),
        )
    console.print(table)
    print_peers(console, result["peers"])
    for peer, ours in PAIRS.items():
        if peer in seconds:
            wall, processor = (ratios(seconds, peer, to=ours, clock=clock)[0] for clock in CLOCKS)
            console.print(
                f"{peer}: {wall:.1f} times as long as {ours}, and {processor:.1f} times the processor time "
                "(medians over rounds)."
            )
    size = result["size"]
    print_setting(
        console,
        f"{size['records']:,} members and {size['records']:,} non-members ({size['some']:,} of each for attacks that "
        f"learn), {size['classes']} classes, {size['rounds']} rounds.",
        result["machine"],
    )


def _parser():
    parser = open_parser(__doc__, quick="2 rounds of 2,000 records, for a first impression")
    parser.add_argument("--records", type=_several, default=50_000, help="of either side (default: 50,000)")
    parser.add_argument("--classes", type=_several, default=100, help="default: 100")
    parser.add_argument("--rounds", type=positive, default=5, help="to take the median over (default: 5)")
    parser.add_argument(
        "--some", type=_several, default=2_000, help="of either side, to learn (default: 2,000)"
    )
    add_option(parser)
    return parser


def _several(text):
    return positive(text, least=2)


if __name__ == "__main__":
    sys.exit(main())
