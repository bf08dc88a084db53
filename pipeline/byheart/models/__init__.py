"""Models: what a name means, their weights, their tokens, and the machine that they are on."""
