"""Old names work for one version, and say the new one."""

import sys
import types

import pytest

from mpreg._deprecated import RenamedAttribute, renamed_arguments, renamed_members


@renamed_arguments(old="new", other="more")
def function(new, *, more=2):
    return new, more


class Thing:
    new = 3
    old = RenamedAttribute("new")
    ask = RenamedAttribute("query")

    def query(self, x):
        return x + self.new


@pytest.mark.parametrize(
    ("call", "result", "message"),
    [
        (lambda: function(old=1), (1, 2), "the argument old is now new"),
        (lambda: function(1, other=5), (1, 5), "the argument other is now more"),
        (lambda: Thing().old, 3, "Thing.old is now new"),
        (lambda: Thing.old, 3, "Thing.old is now new"),
        (lambda: Thing().ask(1), 4, "Thing.ask is now query"),
    ],
)
def test_an_old_name_works_and_names_the_new_one_where_it_is_used(call, result, message):
    with pytest.warns(DeprecationWarning, match=message) as caught:
        assert call() == result
    assert [warning.filename for warning in caught] == [__file__]


def test_new_names_warn_of_nothing(recwarn):
    assert function(1, more=2) == function(new=1) == (1, 2)
    assert Thing().new == 3 and Thing().query(1) == 4
    assert not recwarn.list


@pytest.mark.parametrize("call", [lambda: function(1, old=2), lambda: function(new=1, old=2)])
def test_an_argument_by_both_names_is_refused(call):
    with pytest.raises(TypeError, match="new was given twice: old is its old name"):
        call()


def test_members_of_a_module_are_found_by_their_old_names(monkeypatch):
    module = types.ModuleType("renamed_here")
    module.New, module.__getattr__ = (
        Thing,
        renamed_members("renamed_here", Old="New", Moved="fractions.Fraction"),
    )
    monkeypatch.setitem(sys.modules, "renamed_here", module)
    with pytest.warns(DeprecationWarning, match="renamed_here.Old is now New"):
        assert module.Old is Thing
    with pytest.warns(DeprecationWarning, match="renamed_here.Moved is now fractions.Fraction"):
        assert module.Moved(1, 2) == 0.5
    with pytest.raises(AttributeError, match="module 'renamed_here' has no attribute 'Nonsense'"):
        module.Nonsense  # noqa: B018
