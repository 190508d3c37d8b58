"""Results of joblib's workers: in order, as they come where the backend can, else a round of its workers at a time."""

import joblib
import pytest
from joblib._parallel_backends import ThreadingBackend

from mpreg.fleet.processes import results_of


class AtTheEnd(ThreadingBackend):
    """As Ray's: it gives results only when all of them are there."""

    supports_return_generator = False


@pytest.fixture(scope="module", autouse=True)
def registered():
    joblib.register_parallel_backend("at the end", AtTheEnd)
    yield
    joblib.parallel.BACKENDS.pop("at the end")


@pytest.mark.parametrize("name", ["threading", "at the end"])
@pytest.mark.parametrize("calls", [0, 1, 5])
def test_results_are_in_order(name, calls):
    with joblib.parallel_config(name, n_jobs=2):
        assert list(results_of(pow, [(at, 2) for at in range(calls)])) == [at**2 for at in range(calls)]


def test_no_more_is_begun_than_is_given_in_one_round():
    begun = []
    with joblib.parallel_config("at the end", n_jobs=2):
        results = results_of(lambda at: begun.append(at) or at, [(at,) for at in range(5)])
        assert next(results) == 0 and sorted(begun) == [0, 1]
        assert [next(results), next(results)] == [1, 2] and sorted(begun) == [0, 1, 2, 3]
        assert list(results) == [3, 4]
    begun.clear()
    with joblib.parallel_config("at the end"):
        assert next(results_of(lambda at: begun.append(at) or at, [(at,) for at in range(5)], n_jobs=3)) == 0
    assert sorted(begun) == [0, 1, 2]
