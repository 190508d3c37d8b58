"""What a classifier's answers mean: logits or probabilities, one unit or many, and what its loss takes them for.

`kind` decides, `arrays` reads predictions with NumPy alone, `tensors` reads answers inside a graph; `floors` has the
numbers that both stand on. Nothing here imports Keras unless `last_layer`, `tensors` or `calling` is asked for.
"""
