"""Evaluation: what an attacker learns from a model, with intervals."""
