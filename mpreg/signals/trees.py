"""Boosted trees that tell members from others by columns of signals, with the options that attacks agreed on."""

MAX_CATEGORIES = 255  # what scikit-learn's histogram trees can hold; more classes are given as a number


def membership_trees(records, *, categories=None, seed=0):
    """Returns an untrained classifier; fit it within `one_thread()`.

    Small trees gain nothing from threads, and on a busy machine spinning threads cost a hundredfold.

    Args:
        records: number of records that it will be fitted to.
        categories: columns that hold a class, at most `MAX_CATEGORIES` of them; None for none.
        seed: non-negative integer.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import, and thresholds need none

    return HistGradientBoostingClassifier(
        max_iter=80,
        max_depth=3,
        learning_rate=0.08,
        min_samples_leaf=min(20, max(1, records // 10)),
        l2_regularization=1.0,
        early_stopping=False,
        categorical_features=categories,
        random_state=seed,
    )
