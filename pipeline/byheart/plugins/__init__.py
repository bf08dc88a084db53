"""What a plugin is made of, and how a recipe's key finds it."""
