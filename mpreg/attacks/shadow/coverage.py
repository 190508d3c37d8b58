"""Checks that shadow models cover the judged records, and computes their signals."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

AT_ONCE = 2  # models whose answers are held as numbers of full width


def check_coverage(membership, *, online=True):
    """Raises a `ValueError` for records that all shadow models, or online none, were trained on."""
    trained = membership.sum(axis=0)
    for bad, what in ((trained == len(membership), "all"), ((trained == 0) & online, "none")):
        if bad.any():
            raise ValueError(
                f"{int(bad.sum())} of {len(trained)} records were trained on by {what} of the {len(membership)} "
                f"shadow models, the first is record {bad.argmax()}. Draw with mpreg.attacks.draw_membership, or "
                "train more shadow models" + (", or attack offline" if what == "none" else "")
            )


def shadow_values(access, *signals):
    """Returns signals of each shadow model for all judged records, (signals, models, records)."""

    def of(model):
        answers = access.shadows.answers(model)
        return [signal(answers) for signal in signals]

    with ThreadPoolExecutor(AT_ONCE) as pool:  # NumPy lets others run while it computes
        return np.stack(list(pool.map(of, range(len(access.shadows)))), axis=1)
