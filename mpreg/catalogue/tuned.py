"""Strengths and epochs of the rivals of the game, chosen on validation data as hard as the game's own.

Chosen on location30 by training on all members of splits 0 to 2 and attacking validation halves with the standard
suite (`Setting.draw` with `validation=True`, as `mpreg recipe frontier --validation --attacks standard` does). Worth is
the higher of the attacks on members and on reference records, less the attack on plain training stopped at the same
test accuracy, mean of the three splits: the figure by which the defence table judges. Of what was tried, that worth
most over stopping early is taken, and of what lies within two points of it, which chance cannot tell apart, the most
accurate; what `BEFORE` has, chosen by weaker attacks or as published, stays where neither its worth nor its accuracy is
behind by more than that. No non-member of a split was looked at.

`TRIED` has, by strength and share of the setting's 30 epochs, test accuracy, attack, and attack over stopping early, in
percent; plain training has 59.0 and 93.2 there. A difference of a point or two is within chance. To train for fewer
epochs is to stop early with the defence; it pays for `l2` and `mixup`, twice the epochs for `hamp` and `mixup-mmd`.
Ends of what was tried: 50 for `mist`, which 25 does not fall behind by more than chance, a third of the epochs for
`mixup`, and twice the epochs. Below three epochs the curve is a line to the guess of an untrained model: stopped after
two, plain training has 42.3 and 70.8, 1.2 below it, so that what `l2` is worth may be that much less.

Stopping early itself is the curve. The private rows and the game were chosen as `mpreg.catalogue.private` and
`mpreg.catalogue.game` tell; rows that are named nowhere have nothing to turn or stand as published. When 2 was chosen
for `dmp`, the non-members of these splits had been seen.

What this does not show is an attacker who trains with the same defence. For `hamp` he is right in 92 to 94 % at every
strength and number of epochs (validation halves of splits 0 and 1, 4 shadow models: .5 92.2, .95 92.8, and for twice
the epochs .5 92.7, .8 93.5), where the standard suite has 76 to 79 %.
"""

CHANCE = 2.0  # points
SIXTH, THIRD = 1 / 6, 1 / 3

TRIED = {
    "l2": {
        (0.0003, 1): (59.0, 91.9, 0.0),
        (0.001, 1): (60.5, 90.7, -2.1),
        (0.003, 1): (51.6, 83.7, 3.1),
        (0.01, 1): (48.6, 70.8, -4.8),
        (0.03, 1): (5.5, 51.7, 0.5),
        (0.01, SIXTH): (39.1, 59.3, -10.8),
        (0.001, THIRD): (50.1, 84.7, 8.1),
        (0.003, THIRD): (52.5, 79.8, -3.7),
        (0.01, THIRD): (46.5, 64.9, -9.4),
        (0.02, THIRD): (22.9, 56.2, -4.8),
        (0.001, 2): (51.2, 85.7, 3.8),
        (0.01, 2): (50.3, 76.8, -0.8),
    },
    "dropout": {
        (0.25, 1): (57.3, 94.3, 4.8),
        (0.5, 1): (56.7, 89.5, 0.6),
        (0.5, THIRD): (33.1, 66.5, -0.3),
        (0.5, 2): (57.1, 93.0, 3.4),
    },
    "label-smoothing": {
        (0.03, 1): (54.5, 97.7, 13.0),
        (0.1, 1): (55.5, 98.0, 12.4),
        (0.3, 1): (53.5, 96.8, 12.4),
        (0.1, THIRD): (50.5, 94.2, 14.4),
    },
    "confidence-penalty": {
        (0.03, 1): (58.3, 93.2, 2.3),
        (0.1, 1): (59.2, 93.7, 0.9),
        (0.5, 1): (53.1, 97.1, 14.6),
        (0.1, THIRD): (52.2, 88.2, 8.6),
    },
    "relaxloss": {
        (1.2, 1): (44.1, 82.8, 9.7),
        (1.6, 1): (39.6, 77.0, 6.6),
        (2, 1): (34.5, 71.4, 3.9),
        (2.4, 1): (28.0, 68.5, 4.6),
        (0.8, THIRD): (50.0, 86.8, 10.4),
        (1.2, THIRD): (49.4, 83.6, 7.6),
        (2, 2): (33.1, 73.5, 6.7),
    },
    "ccl": {
        (0.5, 1): (58.2, 93.2, 2.0),
        (0.9, 1): (57.6, 93.4, 3.2),
        (0.5, THIRD): (51.6, 87.2, 9.3),
        (0.5, 2): (58.2, 93.6, 2.3),
    },
    "hamp": {
        (0.3, 1): (48.9, 79.3, 3.3),
        (0.5, 1): (52.6, 76.9, -6.3),
        (0.8, 1): (53.6, 76.1, -7.3),
        (0.5, THIRD): (51.2, 79.7, 1.6),
        (0.5, 2): (56.5, 76.3, -11.8),
        (0.8, 2): (56.7, 75.7, -12.6),
    },
    "mixup": {
        (0.1, 1): (50.4, 95.3, 15.6),
        (0.2, 1): (49.0, 95.5, 19.7),
        (1, 1): (46.8, 95.1, 20.6),
        (0.1, THIRD): (51.3, 90.9, 10.6),
        (0.2, THIRD): (51.5, 92.7, 11.0),
        (1, 2): (45.0, 96.4, 22.9),
    },
    "mmd": {
        (0.5, 1): (56.8, 94.2, 5.5),
        (1, 1): (54.1, 92.3, 8.6),
        (3, 1): (56.1, 91.7, 4.0),
        (10, 1): (51.7, 86.2, 8.0),
        (1, THIRD): (51.6, 89.9, 9.5),
        (1, 2): (56.5, 94.0, 6.0),
        (10, 2): (50.5, 87.8, 10.8),
    },
    "mixup-mmd": {
        (1, 1): (52.9, 93.5, 10.8),
        (3, 1): (53.4, 89.1, 7.7),
        (10, 1): (47.3, 79.2, 4.3),
        (30, 1): (39.2, 71.4, 1.1),
        (3, THIRD): (39.5, 78.6, 8.1),
        (10, 2): (51.3, 80.0, 2.6),
        (30, 2): (42.6, 74.4, 2.3),
    },
    "memguard": {
        (1, 1): (59.0, 86.5, -5.5),
        (1, THIRD): (51.3, 82.7, 3.4),
    },
    "dmp": {
        (1, 1): (55.6, 80.5, -6.6),
        (2, 1): (57.7, 73.2, -16.8),
        (4, 1): (56.5, 70.6, -16.8),
        (2, THIRD): (46.8, 69.3, -5.3),
        (2, 2): (58.6, 73.9, -18.4),
        (4, 2): (57.3, 70.9, -18.5),
    },
    "mist": {
        (5, 1): (56.8, 83.1, -5.5),
        (10, 1): (56.2, 76.0, -11.5),
        (25, 1): (57.7, 72.5, -17.4),
        (50, 1): (59.1, 73.5, -18.3),
        (25, 0.5): (53.2, 65.5, -17.5),
        (10, 2): (58.4, 85.2, -4.9),
    },
}

# What the catalogue had, chosen among the setting's epochs alone.
BEFORE = {
    "l2": (0.001, 1),
    "dropout": (0.5, 1),
    "label-smoothing": (0.1, 1),
    "confidence-penalty": (0.1, 1),
    "relaxloss": (1.6, 1),
    "ccl": (0.5, 1),
    "hamp": (0.8, 1),
    "mixup": (0.2, 1),
    "mmd": (3, 1),
    "mixup-mmd": (3, 1),
    "memguard": (1, 1),
    "dmp": (2, 1),
    "mist": (10, 1),
}


def _best(tried, before):
    least = min(over for _, _, over in tried.values())
    alike = {way: test for way, (test, _, over) in tried.items() if over <= least + CHANCE}
    best = max(alike, key=alike.get)
    return before if alike.get(before, 0) >= alike[best] - CHANCE else best


# By data set, for the `usual` and the `epochs` of a `Defence`.
CHOSEN, EPOCHS = {}, {}
for _name, _tried in TRIED.items():
    _strength, _share = _best(_tried, BEFORE[_name])
    CHOSEN[_name], EPOCHS[_name] = {"location30": _strength}, {"location30": _share}
