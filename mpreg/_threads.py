"""One thread for small fits by scikit-learn: on so few records, threads cost more than they gain."""

import functools
import sys

from threadpoolctl import ThreadpoolController


def one_thread():
    """Returns a context in which BLAS and OpenMP compute with one thread.

    What a small fit takes would double if each context searched the process for their libraries, as
    `threadpoolctl.threadpool_limits` does: it is done again only after modules were imported.
    """
    return _controller(len(sys.modules)).limit(limits=1)


@functools.lru_cache(maxsize=1)
def _controller(modules):
    return ThreadpoolController()
