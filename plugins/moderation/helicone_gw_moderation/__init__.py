"""What may be said: secrets, personal data, injections, unsafe content; blocked, redacted or flagged."""
