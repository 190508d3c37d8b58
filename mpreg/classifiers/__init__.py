"""How to interpret a classifier's outputs: logits or probabilities, one unit or many, and its loss.

`kind` decides, `arrays` reads predictions with NumPy alone, `tensors` reads answers inside a graph; `floors` has the
numbers that both stand on. `declared` asks a file what its layers would take. Nothing here imports Keras unless
`last_layer`, `tensors`, `calling` or `declared` is asked for.
"""
