"""Renderers of results: pages, pictures, TensorBoard, the impact assessment."""
