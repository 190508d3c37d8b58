"""DataFrames: columns keep their names, text is refused by name. The suite does without pandas: a stand-in."""

import sys
import types

import numpy as np
import pytest

import mpreg


class Frame:
    """As much of a DataFrame as is asked for: columns by name, rows by number."""

    def __init__(self, data, columns=None):
        if not isinstance(data, dict):
            data = dict(zip(columns, np.asarray(data).T, strict=True))
        self._data = {name: np.asarray(data[name]) for name in columns or data}
        self.columns, self.iloc = list(self._data), None
        self.dtypes = {name: values.dtype for name, values in self._data.items()}

    def __getitem__(self, name):
        return self._data[name]

    def __len__(self):
        return len(next(iter(self._data.values())))

    def __array__(self, dtype=None, copy=None):
        return np.stack([np.asarray(values) for values in self._data.values()], axis=1).astype(dtype)


@pytest.fixture(autouse=True)
def pandas(monkeypatch):
    module = types.ModuleType("pandas")
    module.DataFrame = Frame
    monkeypatch.setitem(sys.modules, "pandas", module)


class ByName:
    """A model that reads one column by its name, as pipelines do; `dose` alone tells the class."""

    feature_names_in_ = ("weight", "dose")

    def predict_proba(self, x):
        assert list(x.columns) == ["weight", "dose"]
        sure = np.where(x["dose"] > 0, 0.9, 0.1)
        return np.stack([1 - sure, sure], axis=1)


def frame(rows, seed, **more):
    rng = np.random.default_rng(seed)
    return Frame({"weight": rng.normal(size=rows), "dose": rng.normal(size=rows), **more})


def labels(x):
    return (np.asarray(x["dose"]) > 0).astype(int)


class TestSplit:
    def test_a_model_that_takes_columns_by_name_is_asked_so(self):
        sides = frame(40, 1), frame(40, 2)
        split = mpreg.MembershipSplit((sides[0], labels(sides[0])), None, (sides[1], labels(sides[1])))
        report = mpreg.evaluate(ByName(), split, attacks="fast")
        assert float(report.train_accuracy) == float(report.test_accuracy) == 1

    def test_a_drawn_split_gives_its_frames_back(self):
        x = frame(60, 0)
        split = mpreg.MembershipSplit.from_arrays(x, labels(x), members=20, reference=20, seed=0)
        assert split.columns == ("weight", "dose") and split.members[0].shape == (20, 2)
        part, y = split.frame("members")
        assert part.columns == ["weight", "dose"]
        np.testing.assert_array_equal(labels(part), y)
        with pytest.raises(ValueError, match="role must be one of .* Received: 'everybody'"):
            split.frame("everybody")

    def test_text_is_refused_by_name_and_columns_apart_are_taken(self):
        x = frame(40, 0, city=np.array(["Rome", "Oslo"] * 20, object))
        with pytest.raises(
            ValueError, match=r"the columns city of the table hold text.*datasets.encode\(table"
        ):
            mpreg.MembershipSplit.from_arrays(x, labels(x), members=10, reference=0, seed=0)
        apart = {name: x[name] for name in x.columns}
        split = mpreg.MembershipSplit.from_arrays(apart, labels(x), members=20, reference=0, seed=0)

        class ByNameToo(ByName):
            def predict_proba(self, x):
                assert set(x["city"]) == {"Rome", "Oslo"} and list(x.columns) == ["weight", "dose", "city"]
                return super().predict_proba(Frame({name: x[name] for name in ("weight", "dose")}))

        assert float(mpreg.evaluate(ByNameToo(), split, attacks="fast").test_accuracy) == 1

    def test_shadow_models_that_take_columns_by_name_are_asked_so(self):
        x = frame(40, 0)
        apart = {name: x[name] for name in x.columns}
        split = mpreg.MembershipSplit.from_arrays(apart, labels(x), members=20, reference=0, seed=0)
        asked = []

        class Asked(ByName):
            def predict_proba(self, x):
                asked.append(sorted(x.columns))
                return super().predict_proba(Frame({name: x[name] for name in ("weight", "dose")}))

        shadows = mpreg.ShadowTraining(lambda x, y, seed: Asked(), count=4)
        mpreg.evaluate(ByName(), split, attacks=["likelihood_ratio"], shadows=shadows)
        assert asked == [["dose", "weight"]] * 4

    def test_planting_canaries_keeps_the_names(self):
        x = frame(40, 0)
        split = mpreg.MembershipSplit.from_arrays(x, labels(x), members=20, reference=0, seed=0)
        planted = mpreg.plant_canaries(split, 4)
        assert planted.columns == split.columns == ("weight", "dose")
        assert mpreg.evaluate(ByName(), planted, attacks="fast").canaries.members == 4

    def test_columns_of_two_axes_have_no_frame(self):
        split = mpreg.MembershipSplit((np.eye(3), [0, 1, 2]), None, (np.eye(3) + 1, [0, 1, 2]))
        assert split.columns is None
        with pytest.raises(ValueError, match="with records from a DataFrame"):
            split.frame("members")


class TestTrainTest:
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2

    def test_the_train_set_is_the_members_and_the_test_set_is_dealt(self):
        split = mpreg.MembershipSplit.from_train_test(
            (self.x[:8], self.y[:8]), (self.x[8:], self.y[8:]), reference=5
        )
        np.testing.assert_array_equal(split.members[0], self.x[:8])
        assert (len(split.reference[1]), len(split.nonmembers[1])) == (5, 7)
        together = np.concatenate([split.reference[0], split.nonmembers[0]])
        np.testing.assert_array_equal(np.sort(together[:, 0]), self.x[8:, 0])

    def test_without_a_reference_all_of_the_test_set_is_nonmembers(self):
        split = mpreg.MembershipSplit.from_train_test((self.x[:8], self.y[:8]), (self.x[8:], self.y[8:]))
        assert split.reference is None and len(split.nonmembers[1]) == 12

    def test_a_reference_of_all_is_refused_and_so_is_a_record_of_both_sets(self):
        sets = (self.x[:8], self.y[:8]), (self.x[8:], self.y[8:])
        with pytest.raises(ValueError, match="at least one of the 12 test records.*reference=12"):
            mpreg.MembershipSplit.from_train_test(*sets, reference=12)
        with pytest.raises(ValueError, match="stand in an earlier role too: 1"):
            mpreg.MembershipSplit.from_train_test(sets[0], (self.x[7:], self.y[7:]))
