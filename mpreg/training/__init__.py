"""Training-time defences: `keras.Model`s that wrap a target."""
