"""A recipe: how it is read, what it may say, and the JSON schema that editors check it against."""
