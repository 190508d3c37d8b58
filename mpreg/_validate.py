"""Checks of options, with consistent error messages.

Each returns the value, as a Python number. `what` replaces the words behind "must be" where a caller can say more.
"""

import numbers
import sys


def check_number(name, value, *, least=None, above=None, most=None, below=None, what=None):
    """Returns a finite number within bounds as a float.

    Raises:
        ValueError: anything else, such as text, a bool or NaN; it quotes the value.
    """
    bounds = (
        ("at least", least, lambda: value >= least),
        ("above", above, lambda: value > above),
        ("at most", most, lambda: value <= most),
        ("below", below, lambda: value < below),
    )
    bounds = [bound for bound in bounds if bound[1] is not None]
    if not _is_finite(value) or not all(holds() for _, _, holds in bounds):
        asked = " and ".join(f"{word} {bound:g}" for word, bound, _ in bounds)
        _refuse(name, value, what or f"a finite number, {asked}")
    return float(value)


def check_fraction(name, value):
    """Returns a number strictly between 0 and 1 as a float.

    Raises:
        ValueError: anything else; it quotes the value.
    """
    if not _is_finite(value) or not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1. Received: {name}={value!r}")
    return float(value)


def check_count(name, value, least, *, what=None):
    """Returns a whole number of at least `least` as an int.

    Raises:
        ValueError: anything else, such as a float, text or a bool; it quotes the value.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        _refuse(name, value, what or f"a whole number, at least {least}")
    return int(value)


def short_repr(value):
    """Returns a value's representation on one short line, for error messages."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def _is_finite(value):
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max


def _refuse(name, value, what):
    raise ValueError(f"{name} must be {what}. Received: {name}={value!r}")
