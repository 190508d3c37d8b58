"""What all defences on the training step share."""
