"""Screening leaves out what models that never saw it find implausible, and says whom that hits."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.naive_bayes import GaussianNB

import mpreg
from mpreg.data import group_records
from mpreg.data.neighbours import link_near_duplicates

SIDE = 40  # records a class


def clusters(*, classes=4, wrong=12, seed=0):
    """Records of clusters, some with a wrong label; which ones, bool."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), SIDE)
    x = rng.normal(size=(len(y), 6)) + 3.0 * np.eye(classes, 6)[y]
    planted = np.zeros(len(y), bool)
    planted[rng.choice(len(y), wrong, replace=False)] = True
    y = np.where(planted, (y + rng.integers(1, classes, len(y))) % classes, y)
    return x.astype(np.float32), y, planted


def at_random(x, y, folds):
    return np.random.default_rng(1).random(len(y))


def test_planted_wrong_labels_are_left_out_and_by_a_random_scorer_they_are_not():
    x, y, planted = clusters()
    found, blind = mpreg.Screening(share=0.15), mpreg.Screening(share=0.15, scorer=at_random)
    found.fit(x, y)
    blind.fit(x, y)
    assert planted[found.left_out_].sum() >= 10  # of 12, among 24 that are left out
    assert planted[blind.left_out_].sum() <= 6


def test_a_share_is_left_out_and_rows_are_in_order():
    x, y, _ = clusters()
    screening = mpreg.Screening(share=0.15)
    kept = screening.fit(x, y)
    assert len(kept) == round(0.85 * len(y))
    assert kept is screening.kept_
    rows = np.concatenate([kept, screening.left_out_])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(y)))
    assert (np.diff(kept) > 0).all()
    probability = screening.held_out_probability_
    assert probability[screening.left_out_].max() <= probability[kept].min()


def test_a_least_probability_leaves_out_all_below_it_and_less_of_clean_data():
    x, y, _ = clusters()
    clean_x, clean_y, _ = clusters(wrong=0)
    dirty, clean = (mpreg.Screening(least_probability=0.2) for _ in range(2))
    dirty.fit(x, y)
    clean.fit(clean_x, clean_y)
    np.testing.assert_array_equal(dirty.kept_, np.flatnonzero(dirty.held_out_probability_ >= 0.2))
    assert len(clean.left_out_) < len(dirty.left_out_)


def test_the_rows_are_those_of_a_cross_validation_written_by_hand():
    x, y, _ = clusters()
    screening = mpreg.Screening(share=0.2, scorer=LogisticRegression(C=0.5))
    kept = screening.fit(x, y)
    by_hand = cross_val_predict(
        LogisticRegression(C=0.5), x, y, cv=PredefinedSplit(screening.folds_), method="predict_proba"
    )
    own = by_hand[np.arange(len(y)), y]
    np.testing.assert_allclose(screening.held_out_probability_, own, rtol=1e-4)
    np.testing.assert_array_equal(kept, np.sort(np.argsort(-own, kind="stable")[: len(kept)]))


def test_the_usual_scorer_does_not_mind_units_shapes_or_the_form_of_labels():
    x, y, _ = clusters()
    screening = mpreg.Screening(share=0.2)
    kept = screening.fit(x, y)
    others = (
        (x * [1, 1e3, 1e-3, 1, 10, 1], y),
        (x.reshape(-1, 2, 3), np.eye(4)[y]),
        ({"a": x[:, :2], "b": x[:, 2:]}, y[:, None]),
    )
    for other_x, other_y in others:
        same = np.intersect1d(kept, screening.fit(other_x, other_y))
        assert len(same) >= len(kept) - 2  # rounding may swap records of nearly one probability


def test_classes_are_dealt_evenly_and_equal_records_to_one_fold():
    x, y, _ = clusters()
    x[50:80] = x[10:40]
    screening = mpreg.Screening(share=0.1)
    screening.fit(x, y)
    for group in np.unique(group_records(x)):
        assert len(set(screening.folds_[group_records(x) == group])) == 1
    x, y, _ = clusters(wrong=0)
    screening.fit(x, y)
    for label in range(4):
        assert (
            np.abs(np.bincount(screening.folds_[y == label]) - SIDE / 5).max() <= 1
        )  # some are near-duplicates


def test_records_of_a_group_of_the_user_are_in_one_fold():
    x, y, _ = clusters()
    persons = np.arange(len(y)) // 2
    screening = mpreg.Screening(share=0.1)
    screening.fit(x, y, groups=persons)
    np.testing.assert_array_equal(screening.folds_[::2], screening.folds_[1::2])


def test_equal_records_of_one_label_are_kept_or_left_out_together():
    x, y, _ = clusters(wrong=0)
    x, y = np.concatenate([x, x]), np.concatenate([y, y])
    for share in (0.1, 0.103, 0.107):
        left_out = set(mpreg.Screening(share=share).fit(x, y))
        assert {(row + len(y) // 2) % len(y) for row in left_out} == left_out


def implausible_class(x, y, folds):
    return np.where(y == 0, 0.1, 0.5) + at_random(x, y, folds) / 100


def test_no_class_loses_more_than_its_bound_and_others_give_in_its_place():
    x, y, _ = clusters(wrong=0)
    screening = mpreg.Screening(share=0.2, scorer=implausible_class, most_of_a_class=0.25)
    screening.fit(x, y)
    assert screening.share_of_class_[0] == 0.25
    assert len(screening.left_out_) == round(0.2 * len(y))
    assert "kept more of it in 1 classes: 0" in str(screening.report())
    everywhere = mpreg.Screening(least_probability=0.9, scorer=implausible_class, most_of_a_class=0.25)
    everywhere.fit(x, y)
    assert set(everywhere.share_of_class_.values()) == {0.25}


def test_losing_most_of_a_class_is_warned_of_and_a_class_never_vanishes():
    x, y, _ = clusters(wrong=0)
    screening = mpreg.Screening(least_probability=0.3, scorer=implausible_class)
    with pytest.warns(UserWarning, match="more than half of 1 classes, such as class 0"):
        kept = screening.fit(x, y)
    assert (y[kept] == 0).sum() == 1


def test_a_seed_gives_one_result_and_another_seed_another():
    x, y, _ = clusters()
    kept, again, other = (mpreg.Screening(share=0.2, seed=seed).fit(x, y) for seed in (3, 3, 4))
    np.testing.assert_array_equal(kept, again)
    assert not np.array_equal(kept, other)


def test_any_classifier_of_scikit_learn_scores_and_is_left_as_it_was():
    x, y, planted = clusters()
    classifier = GaussianNB()
    screening = mpreg.Screening(share=0.15, scorer=classifier)
    screening.fit(x, y)
    assert planted[screening.left_out_].sum() >= 10
    assert not hasattr(classifier, "classes_")


def test_members_and_reference_of_a_split_are_screened_and_others_are_not():
    x, y, _ = clusters()
    split = mpreg.MembershipSplit.from_arrays(x, y, members=70, reference=60, seed=0)
    screening = mpreg.Screening(share=0.1, folds=3)
    kept = mpreg.screen(split, screening)
    assert (len(kept.members[1]), len(kept.reference[1])) == (63, 54)
    np.testing.assert_array_equal(kept.members[0], split.members[0][screening.kept_])
    reference = mpreg.Screening(share=0.1, folds=3).fit(*split.reference)
    np.testing.assert_array_equal(kept.reference[1], split.reference[1][reference])
    np.testing.assert_array_equal(kept.nonmembers[0], split.nonmembers[0])
    assert (
        mpreg.screen(mpreg.MembershipSplit(split.members, None, split.nonmembers), screening).reference
        is None
    )


def test_the_report_counts_by_class_and_column_and_says_what_it_costs_whom():
    x, y, _ = clusters(wrong=0)
    old = np.arange(len(y)) % 3 == 0
    screening = mpreg.Screening(share=0.2)
    kept = screening.fit(x, y)
    test_labels, test_old = np.array([0, 0, 1, 2]), np.array([True, False, False, False])
    report = screening.report(
        columns={"old": old},
        correct={"plain": [True, True, True, False], "screened": [False, True, True, False]},
        test_labels=test_labels,
        test_columns={"old": test_old},
    )
    left_out = ~np.isin(np.arange(len(y)), kept)
    rows = {(row["column"], row["value"]): row for row in report.to_dict()["rows"]}
    assert rows["old", "True"]["left_out"] == left_out[old].sum()
    assert rows["old", "True"]["share"] == left_out[old].mean()
    assert rows["old", "True"]["accuracy"] == {"plain": 1.0, "screened": 0.0}
    assert rows["class", "0"]["accuracy"] == {"plain": 1.0, "screened": 0.5}
    assert rows["class", "3"]["accuracy"] == {}
    assert sum(rows["class", str(label)]["left_out"] for label in range(4)) == report.left_out
    for text in (str(report), report.to_markdown(), report.to_html()):
        assert "Screening leaves out 32 of 160 records (20.0 %), most of" in text
        assert "test accuracy, screened" in text


def test_markup_in_a_column_stays_text():
    x, y, _ = clusters()
    screening = mpreg.Screening(share=0.1)
    screening.fit(x, y)
    report = screening.report(columns={"<b>": np.where(y > 1, "a|b", "c")})
    assert "&lt;b&gt;" in report.to_html()
    assert "| \\<b\\> | a\\\\|b |" in report.to_markdown()


def test_nothing_is_reported_before_something_is_screened():
    with pytest.raises(RuntimeError, match="call fit first"):
        mpreg.Screening(share=0.1).report()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "by either share or least_probability. Received: share=None"),
        ({"share": 0.1, "least_probability": 0.1}, "Received: share=0.1, least_probability=0.1"),
        ({"share": 0.0}, "share must lie strictly between 0 and 1. Received: share=0.0"),
        ({"share": 1}, "Received: share=1"),
        ({"least_probability": float("nan")}, "least_probability must lie strictly between"),
        ({"share": 0.1, "most_of_a_class": 1.5}, "Received: most_of_a_class=1.5"),
        ({"share": 0.1, "folds": 1}, "folds must be a whole number, at least 2. Received: folds=1"),
        ({"share": 0.1, "scorer": "knn"}, "scorer must be a scikit-learn classifier .* Received: 'knn'"),
        ({"share": 0.1, "scorer": GaussianNB}, "scorer must be a scikit-learn classifier"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mpreg.Screening(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, np.zeros_like(y)), "at least two classes. Received: labels of class 0 alone"),
        (lambda x, y: (x, np.r_[4, y[1:]]), "there are folds, 5. Received: class 4 with 1. Use fewer folds"),
        (lambda x, y: (np.zeros_like(x) + y[:, None], y), "class 0 with 1, and 3 more such classes"),
        (lambda x, y: (np.where(x > 4, np.nan, x), y), "NaN or infinite"),
        (lambda x, y: (x[:-1], y), "must have the same number of records"),
        (
            lambda x, y: (np.array([[str(row)] for row in range(len(y))]), y),
            "the records hold text: give scorer= a model",
        ),
    ],
)
def test_records_that_cannot_be_screened_are_refused(change, message):
    x, y, _ = clusters(wrong=0)
    with pytest.raises(ValueError, match=message):
        mpreg.Screening(share=0.1).fit(*change(x, y))


@pytest.mark.parametrize("answer", [lambda x, y, f: x, lambda x, y, f: 2.0 + y, lambda x, y, f: y * np.nan])
def test_scorers_that_do_not_answer_with_probabilities_are_refused(answer):
    x, y, _ = clusters()
    with pytest.raises(ValueError, match="a scorer must answer with the probability of each record's label"):
        mpreg.Screening(share=0.1, scorer=answer).fit(x, y)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": np.arange(161)}, "age: a column holds one value for each record, 160. Received: shape"),
        ({"sex": [0, 1]}, "sex: a column holds one value for each record, 160. Received: shape"),
    ],
)
def test_columns_that_are_not_one_value_a_record_are_refused(columns, message):
    x, y, _ = clusters()
    screening = mpreg.Screening(share=0.1)
    screening.fit(x, y)
    with pytest.raises(ValueError, match=message):
        screening.report(columns=columns)


def test_a_column_of_too_many_values_is_refused():
    x, y, _ = clusters(classes=6)
    screening = mpreg.Screening(share=0.1)
    screening.fit(x, y)
    with pytest.raises(ValueError, match="at most 200 different values.*Received: age with 240"):
        screening.report(columns={"age": np.arange(240)})


def twins(pairs=6, seed=0):
    """Clusters of bits with pairs of wrong label that differ in two bits, and which records these are."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), SIDE)
    x = (rng.random((len(y), 60)) < np.where(np.arange(60) % 4 == y[:, None], 0.7, 0.2)).astype(np.float32)
    rows = rng.choice(len(y), (pairs, 2), replace=False)
    for one, other in rows:
        y[[one, other]] = (y[one] + rng.integers(1, 4)) % 4
        x[other] = x[one]
        x[other, :2] = 1 - x[other, :2]
    return x, y, rows


def test_near_duplicates_do_not_make_each_other_plausible():
    x, y, rows = twins()
    screening = mpreg.Screening(share=0.15)
    screening.fit(x, y)
    assert (screening.folds_[rows[:, 0]] == screening.folds_[rows[:, 1]]).all()
    assert np.isin(rows, screening.left_out_).mean() > 0.8


def test_records_that_lie_as_usual_are_linked_to_none():
    x, y, rows = twins()
    groups = link_near_duplicates(x, y)
    linked = np.flatnonzero(np.bincount(groups)[groups] > 1)
    np.testing.assert_array_equal(linked, np.sort(rows.ravel()))
    assert len(set(link_near_duplicates(np.repeat(x, 4, axis=1), y))) == len(y) - len(rows)  # projected


def test_a_class_that_is_near_duplicates_alone_is_still_in_every_fold():
    x, y, _ = clusters(wrong=0)
    chosen = np.r_[np.flatnonzero(y != 1), np.flatnonzero(y == 1)[:6]]
    x[y == 1] = 100.0 * (np.arange(SIDE) // 2)[:, None] + 1e-3 * (np.arange(SIDE) % 2)[:, None]
    x, y = x[chosen], y[chosen]
    assert len(set(link_near_duplicates(x, y)[y == 1])) == 3
    screening = mpreg.Screening(share=0.1)
    screening.fit(x, y)
    assert set(screening.folds_[y == 1]) == set(range(5))
