"""Models and data sets for others."""
