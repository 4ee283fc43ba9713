"""What is said of each kind of alert: one file per family, joined in `kinds.py`."""
