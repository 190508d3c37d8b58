"""Public screening: each record by itself, by a model of public records."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

import mpreg


def clusters(records, *, wrong=0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(records) % 3
    x = (rng.normal(size=(records, 4)) + 3 * np.eye(3, 4)[y]).astype(np.float32)
    given = y.copy()
    given[:wrong] = (given[:wrong] + 1) % 3
    return x, given


PUBLIC = clusters(120, seed=1)


def test_wrong_labels_are_left_out_and_the_rest_is_kept():
    x, y = clusters(150, wrong=15)
    kept = mpreg.PublicScreening(PUBLIC, least_probability=0.3).fit(x, y)
    assert len(set(range(15)) - set(kept)) >= 13
    assert len(set(kept) - set(range(15))) >= 130


def test_it_is_a_regression_of_the_public_records_scaled_by_them():
    x, y = clusters(60, wrong=9)
    screening = mpreg.PublicScreening(PUBLIC, least_probability=0.3)
    kept = screening.fit(x * [1, 10, 100, 1], y)
    scaler = StandardScaler().fit(PUBLIC[0])
    by_hand = LogisticRegression(C=0.05, max_iter=1000).fit(scaler.transform(PUBLIC[0]), PUBLIC[1])
    own = by_hand.predict_proba(scaler.transform(x * [1, 10, 100, 1]))[np.arange(60), y]
    np.testing.assert_allclose(screening.probability_, own, atol=2e-3)
    np.testing.assert_array_equal(kept, np.flatnonzero(screening.probability_ >= 0.3))
    np.testing.assert_array_equal(screening.left_out_, np.setdiff1d(np.arange(60), kept))


def test_what_happens_to_a_record_does_not_depend_on_the_others():
    x, y = clusters(60, wrong=9)
    x[0], y[0] = x[1], y[1]  # twins of one wrong label do not help each other
    screening = mpreg.PublicScreening(PUBLIC, least_probability=0.2)
    together = np.isin(np.arange(60), screening.fit(x, y))
    alone = [len(screening.fit(x[row : row + 1], y[row : row + 1])) for row in range(60)]
    np.testing.assert_array_equal(together, np.array(alone, bool))
    extreme = screening.fit(np.concatenate([x, 1e6 * np.ones((1, 4), np.float32)]), np.append(y, 0))
    np.testing.assert_array_equal(extreme[extreme < 60], np.flatnonzero(together))


def test_other_classifiers_score_as_they_would_by_themselves():
    x, y = clusters(60, wrong=9)
    bayes = mpreg.PublicScreening(PUBLIC, least_probability=0.1, scorer=GaussianNB())
    bayes.fit(x, y)
    own = GaussianNB().fit(*PUBLIC).predict_proba(x)[np.arange(60), y]
    np.testing.assert_allclose(bayes.probability_, own)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    network = mpreg.PublicScreening(
        PUBLIC, least_probability=0.1, scorer=lambda x: model.predict(x, verbose=0)
    )
    one_hot = np.eye(3)[y]
    network.fit(x, one_hot)
    np.testing.assert_allclose(network.probability_, np.asarray(model(x))[np.arange(60), y], rtol=1e-5)


def test_a_class_that_public_records_lack_is_kept_whole():
    x, y = clusters(60)
    y[y == 2] = 7
    public = (PUBLIC[0][PUBLIC[1] < 2], PUBLIC[1][PUBLIC[1] < 2])
    screening = mpreg.PublicScreening(public, least_probability=0.9)
    screening.fit(x, y)
    assert screening.share_of_class_[7] == 0 < screening.share_of_class_[0]


def test_a_split_keeps_its_reference_records_and_the_report_counts_members():
    x, y = clusters(90, wrong=9)
    split = mpreg.MembershipSplit((x[:60], y[:60]), PUBLIC, (x[60:], y[60:]))
    screening = mpreg.PublicScreening(split.reference, least_probability=0.2)
    kept = mpreg.screen(split, screening)
    np.testing.assert_array_equal(kept.reference[0], PUBLIC[0])
    assert len(kept.members[1]) == 60 - len(screening.left_out_)
    assert f"leaves out {len(screening.left_out_)} of 60 records" in str(screening.report())


def test_losing_most_of_a_class_is_warned_of():
    x, y = clusters(30)
    with pytest.warns(UserWarning, match="more than half of 3 classes, such as class 0.*leave out fewer$"):
        mpreg.PublicScreening(PUBLIC, least_probability=0.4).fit(x, (y + 1) % 3)


@pytest.mark.parametrize(
    ("public", "options", "message"),
    [
        (
            PUBLIC,
            {"least_probability": 0},
            "least_probability must lie strictly.*Received: least_probability=0",
        ),
        (PUBLIC, {"least_probability": 0.1, "scorer": GaussianNB}, "scorer must be None.*GaussianNB"),
        (PUBLIC, {"least_probability": 0.1, "scorer": 3}, "scorer must be None.*Received: 3"),
        (
            (PUBLIC[0], 0 * PUBLIC[1]),
            {"least_probability": 0.1},
            "at least two classes. Received: class 0 alone",
        ),
        ((PUBLIC[0] * np.nan, PUBLIC[1]), {"least_probability": 0.1}, "public records.*NaN"),
    ],
)
def test_options_and_public_records_that_make_no_sense_are_refused(public, options, message):
    with pytest.raises(ValueError, match=message):
        mpreg.PublicScreening(public, **options)


@pytest.mark.parametrize(
    ("x", "scorer", "message"),
    [
        (np.zeros((6, 5)), None, "the 4 columns of the public ones. Received: 5"),
        (np.zeros((6, 4)), lambda x: np.ones((6, 3)), "sum to 1.*from 3 to 3"),
        (
            np.zeros((6, 4)),
            lambda x: np.ones((6, 2)) / 2,
            r"\(6, classes\).*label, 2. Received: shape \(6, 2\)",
        ),
        (np.zeros((6, 4)), lambda x: np.full((6, 3), [2, -1, 0]), "from 0 to 1"),
    ],
)
def test_records_and_scorers_that_do_not_fit_are_refused(x, scorer, message):
    screening = mpreg.PublicScreening(PUBLIC, least_probability=0.1, scorer=scorer)
    with pytest.raises(ValueError, match=message):
        screening.fit(x, np.arange(6) % 3)
