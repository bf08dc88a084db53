"""The run directory: its stages, their records, and the store that it is sent to."""
