"""Training in processes of its own."""
