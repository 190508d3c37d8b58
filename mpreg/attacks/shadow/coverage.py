"""Checks that shadow models cover the judged records."""


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
