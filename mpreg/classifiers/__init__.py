"""What a classifier's answers mean: logits or probabilities, one unit or many."""
