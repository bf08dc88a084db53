"""What strategies are made of, the driver that runs them, and the sample stage."""
