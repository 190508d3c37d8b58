"""What is fitted on few records is fitted on one thread."""

import sys
import types

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mpreg import _threads


def threads():
    return [library["num_threads"] for library in threadpool_info()]


def test_one_thread_within_and_as_before_after():
    import sklearn.ensemble  # noqa: F401  it loads an OpenMP library

    with threadpool_limits(2):
        before = threads()
        assert 2 in before
        for _ in range(2):  # the second time by the libraries found at the first
            with _threads.one_thread():
                assert set(threads()) == {1}
            assert threads() == before


def test_libraries_are_searched_for_again_where_modules_were_imported(monkeypatch):
    searches = []
    monkeypatch.setattr(_threads, "ThreadpoolController", lambda: searches.append(1) or Found())
    _threads._controller.cache_clear()
    for _ in range(3):
        _threads.one_thread()
    assert len(searches) == 1
    monkeypatch.setitem(sys.modules, "a_module_of_this_test", types.ModuleType("a_module_of_this_test"))
    _threads.one_thread()
    assert len(searches) == 2
    _threads._controller.cache_clear()


class Found:
    def limit(self, limits):
        assert limits == 1


def test_an_error_within_leaves_the_threads_as_they_were():
    before = threads()
    with pytest.raises(ZeroDivisionError), _threads.one_thread():
        1 / 0  # noqa: B018
    assert threads() == before
