"""The base of all defences that change the training step."""
