"""Plain training stopped early: what a defence is measured by."""

import numpy as np


def attack_of_stopping(test_accuracy, reports):
    """Attack accuracy on plain training stopped at a test accuracy, from reports of it stopped at several points.

    Between two points it is interpolated, from the untrained model (a guess, attacked at .5) on. Stopping that loses
    on both counts counts for nothing; beyond the best test accuracy of all, the attack there is the one to beat.
    """
    classes = reports[0]["classes"]
    points = [(1 / classes, 0.5)]
    points += [(report["test_accuracy"]["value"], report["attack_accuracy"]["value"]) for report in reports]
    best = sorted(
        (test, attack)
        for test, attack in points
        if not any(other >= test and less < attack for other, less in points)
    )
    return float(np.interp(test_accuracy, *zip(*best, strict=True)))
