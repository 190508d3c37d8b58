"""Words for modules that have moved, while their old paths still work."""

import warnings


def warn_of_move(old, new):
    """Warns whoever imports `old`; the names are in `new`."""
    warnings.warn(
        f"{old} has moved to {new}, and goes in the next version",
        DeprecationWarning,
        stacklevel=3,  # the line that imports the old module: frames of the import system do not count
    )
