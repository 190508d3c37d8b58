"""Parser of Adult: census records of 1994, as 6 scaled numbers and 102 indicators of 8 categories."""

import numpy as np

# In the files' order: the range of a number, or the categories of an answer. The ranges are fixed and wide
# enough for every record, because the data's own would tell a model about its test records. "?" is a category
# like any other: that somebody did not answer is part of the record.
_ATTRIBUTES = {
    "age": (0, 100),
    "workclass": (
        "? Private Self-emp-not-inc Self-emp-inc Federal-gov Local-gov State-gov Without-pay Never-worked"
    ),
    "fnlwgt": (0, 1_500_000),
    "education": (
        "Preschool 1st-4th 5th-6th 7th-8th 9th 10th 11th 12th HS-grad Some-college Assoc-voc Assoc-acdm "
        "Bachelors Masters Prof-school Doctorate"
    ),
    "education-num": (0, 16),
    "marital-status": (
        "Married-civ-spouse Divorced Never-married Separated Widowed Married-spouse-absent Married-AF-spouse"
    ),
    "occupation": (
        "? Tech-support Craft-repair Other-service Sales Exec-managerial Prof-specialty Handlers-cleaners "
        "Machine-op-inspct Adm-clerical Farming-fishing Transport-moving Priv-house-serv Protective-serv "
        "Armed-Forces"
    ),
    "relationship": "Wife Own-child Husband Not-in-family Other-relative Unmarried",
    "race": "White Asian-Pac-Islander Amer-Indian-Eskimo Other Black",
    "sex": "Female Male",
    "capital-gain": (0, 100_000),
    "capital-loss": (0, 5_000),
    "hours-per-week": (0, 100),
    "native-country": (
        "? United-States Cambodia England Puerto-Rico Canada Germany Outlying-US(Guam-USVI-etc) India Japan "
        "Greece South China Cuba Iran Honduras Philippines Italy Poland Jamaica Vietnam Mexico Portugal "
        "Ireland France Dominican-Republic Laos Ecuador Taiwan Haiti Columbia Hungary Guatemala Nicaragua "
        "Scotland Thailand Yugoslavia El-Salvador Trinadad&Tobago Peru Hong Holand-Netherlands"
    ),
}
_INCOMES = {"<=50K": 0, ">50K": 1, "<=50K.": 0, ">50K.": 1}  # adult.test ends its labels with a full stop

_RANGES = {name: domain for name, domain in _ATTRIBUTES.items() if isinstance(domain, tuple)}
_CATEGORIES = {name: domain.split() for name, domain in _ATTRIBUTES.items() if isinstance(domain, str)}
COLUMNS = (*_RANGES, *(f"{name}={value}" for name, values in _CATEGORIES.items() for value in values))


def adult(paths, spec):
    """Returns float32 features `(records, 108)` from 0 to 1, and int64 labels: 1 for over 50K.

    The columns are named by `COLUMNS`. A row that does not fit is a ValueError that names file and line.
    """
    rows = [row for path in paths for row in _rows(path)]
    position = {column: index for index, column in enumerate(COLUMNS)}
    features = np.zeros((len(rows), len(COLUMNS)), np.float32)
    labels = np.zeros(len(rows), np.int64)
    for index, (place, values) in enumerate(rows):
        *attributes, income = values
        for name, value in zip(_ATTRIBUTES, attributes, strict=True):
            if name in _RANGES:
                features[index, position[name]] = _scale(name, value, place)
            elif (column := position.get(f"{name}={value}")) is not None:
                features[index, column] = 1
            else:
                raise ValueError(f"{place}: {name} has no category {value!r}.")
        if income not in _INCOMES:
            raise ValueError(f"{place}: the income must be <=50K or >50K. Received: {income!r}")
        labels[index] = _INCOMES[income]
    return features, labels


def _rows(path):
    """Yields the place (file and line) and the 15 values of every record."""
    for number, line in enumerate(path.read_text("ascii", errors="replace").splitlines(), 1):
        if not line.strip() or line.startswith("|"):  # adult.test opens with a remark
            continue
        values = [value.strip() for value in line.split(",")]
        place = f"{path.name}, line {number}"
        if len(values) != len(_ATTRIBUTES) + 1:
            raise ValueError(f"{place}: expected {len(_ATTRIBUTES) + 1} values. Received: {len(values)}")
        yield place, values


def _scale(name, value, place):
    low, high = _RANGES[name]
    if not value.isdecimal() or not low <= int(value) <= high:
        raise ValueError(f"{place}: {name} must be a number from {low} to {high}. Received: {value!r}")
    return (int(value) - low) / (high - low)
