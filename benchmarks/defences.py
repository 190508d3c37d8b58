"""Time of every defence of the catalogue, as a multiple of plain training: the Location network, tracing included.

    python benchmarks/defences.py --rounds 3 --json defences.json

A turn trains a classifier from its first weights with the defence at its usual strength and share of the epochs that
the catalogue gives the data set, or of two with --quick. What a defence needs besides one training counts, such as
sub-models.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
from rounds import (
    machine,
    open_console,
    open_parser,
    open_table,
    print_setting,
    ratios,
    take_turns,
    timed,
    write_json,
)

from mpreg.catalogue import DEFENCES, SETTINGS, setting_of

PLAIN = "undefended"


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    rounds = options.rounds or (1 if options.quick else 3)
    setting = setting_of(SETTINGS, options.dataset).replace(epochs=2 if options.quick else None)
    names = [name for name in DEFENCES if not options.quick or name in QUICK]
    result = {
        "machine": machine("tensorflow", "keras"),
        "dataset": setting.name,
        "epochs": setting.epochs,
        "seconds": take_turns(lambda: open_ways(setting, names), rounds, opening="drawing records"),
    }
    print_result(result, rounds)
    write_json(options.json, result)
    return 0


QUICK = (PLAIN, "l2", "advreg", "relaxloss", "dpsgd")


def open_ways(setting, names):
    """By name, a function without arguments that trains once and returns its seconds by clock."""
    data, split = setting.draw(0)

    def turn(name):
        keras.backend.clear_session()  # or else graphs of earlier turns pile up
        return timed(lambda: DEFENCES[name].train(setting, data, split, seed=0))[1]

    turn(PLAIN)
    return {name: lambda name=name: turn(name) for name in names}


def print_result(result, rounds):
    """The table, the machine and how to read it, on standard output."""
    console, seconds = open_console(), result["seconds"]
    table = open_table(console, "", "seconds", "times plain", "range", "processor time")
    for name, clocks in seconds.items():
        median, least, most = ratios(seconds, name, to=PLAIN)
        processor, *_ = ratios(seconds, name, to=PLAIN, clock="processor")
        wall = sorted(clocks["wall"])[rounds // 2]
        table.add_row(name, f"{wall:.1f}", f"{median:.2f}", f"{least:.2f} to {most:.2f}", f"{processor:.2f}")
    console.print(table)
    work = f"{result['dataset']}, {result['epochs']} epochs, medians over {rounds} rounds."
    print_setting(console, work, result["machine"])


def _parser():
    parser = open_parser(__doc__, quick="one round of two epochs of a few defences", rounds=3)
    parser.add_argument("--dataset", default="location30", choices=list(SETTINGS), help="default: location30")
    return parser


if __name__ == "__main__":
    sys.exit(main())
