"""Attacks: each has `fit` and `score`; a higher score means a more likely member."""
