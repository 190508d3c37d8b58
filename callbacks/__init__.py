"""Keras callbacks, imported as `mpreg.callbacks`: they measure, control and write `logs`; they never print."""
