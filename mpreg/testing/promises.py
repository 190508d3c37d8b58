"""Promises, and an account of all that are broken."""


def check_promises(name, promises, case):
    """Tries each promise on a case.

    Args:
        name: of what makes the promises.
        promises: functions of the case that raise where the promise is broken; their docstring is the promise.
        case: what they look at.

    Raises:
        AssertionError: it lists every promise that is broken, each with the error.
    """
    broken = {}
    for promise in promises:
        try:
            promise(case)
        except Exception as error:
            broken[promise] = error
    if broken:
        lines = [f"- {promise.__doc__} {_told(error)}" for promise, error in broken.items()]
        count = f"{len(broken)} of {len(promises)} promises"
        raise AssertionError("\n".join([f"{name} breaks {count}:", *lines])) from next(iter(broken.values()))


def expect(truth, found):
    """Raises an `AssertionError` that says what was found, unless it is true. Assertions would go with `python -O`."""
    if not truth:
        raise AssertionError(found)


def _told(error):
    said = " ".join(str(error).split())
    return said if isinstance(error, AssertionError) and said else f"{type(error).__name__}: {said}"
