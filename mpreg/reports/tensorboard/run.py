"""A run of TensorBoard: a folder of event files."""


class Run:
    """Writes summaries into a folder; what is there already stays, and is shown with them.

    Opens a file, which `close` or the end of a `with` closes.

    Args:
        folder: the folder; it is made where it is missing.

    Example:
    ```python
    with Run("logs/advreg/privacy") as run:
        run.write(epoch, scalars({"attack_accuracy": 0.57}))
    ```
    """

    def __init__(self, folder):
        import tensorflow as tf  # not before there is something to write

        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, step, *summaries):
        """Writes summaries of one step; TensorBoard can show them at once."""
        import tensorflow as tf

        joined = b"".join(summary.SerializeToString() for summary in summaries)  # is one summary of all
        with self._writer.as_default(), tf.summary.record_if(True):
            tf.summary.experimental.write_raw_pb(joined, step=step)
        self._writer.flush()

    def close(self):
        self._writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
