"""The recipes that come with byheart, one YAML file a run; in a wheel this folder is the package byheart.recipes."""
