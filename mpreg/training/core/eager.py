"""Eager execution from within a step that is being traced."""

import concurrent.futures


def eagerly(function, *args):
    """Returns `function(*args)`, computed in a thread of its own: that of a trace has put eager execution aside."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()
