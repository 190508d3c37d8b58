"""Checks of numbers given as options."""

from numbers import Real


def check_number(name, value, *, least=None, above=None, most=None, below=None):
    """Raises a `ValueError` that quotes `value` unless it is a finite number within bounds."""
    bounds = [
        (least, lambda bound: value >= bound, "at least"),
        (above, lambda bound: value > bound, "above"),
        (most, lambda bound: value <= bound, "at most"),
        (below, lambda bound: value < bound, "below"),
    ]
    bounds = [bound for bound in bounds if bound[0] is not None]
    number = isinstance(value, Real) and not isinstance(value, bool) and abs(value) < float("inf")
    if not number or not all(holds(bound) for bound, holds, _ in bounds):
        asked = " and ".join(f"{word} {bound:g}" for bound, _, word in bounds)
        raise ValueError(f"{name} must be a finite number, {asked}. Received: {name}={value!r}")
