"""Renderers: pages, Markdown, pictures, TensorBoard, the impact assessment.

Each is a function of a document, the JSON that `docs/report-schema.md` describes, or of scores. It knows none of the
classes that documents come from, and works out no result: what a reader is to be told stands in the document.
"""
