"""What a run will do and take, before it is started."""
