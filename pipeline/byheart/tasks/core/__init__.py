"""What tasks are made of: rows of data sets, their columns, and the splits of a round's problems."""
