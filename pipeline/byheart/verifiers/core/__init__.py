"""What verifiers are made of, and the service that answers for them."""
