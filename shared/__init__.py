"""What every service uses and no service owns. Knows no medicine."""
