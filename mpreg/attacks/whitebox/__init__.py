"""What an attacker learns who holds the model itself."""
