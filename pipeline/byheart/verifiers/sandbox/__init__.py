"""Runs code that a model wrote, isolated from this machine: host.py starts it, inside/ is what runs within."""
