"""What a user sees of a run. Everything here reads the run directory and nothing else."""
