"""MixUp and the maximum mean discrepancy."""
