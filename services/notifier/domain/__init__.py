"""What the notifier decides, without I/O: stdlib only, `now` is an argument, values come back."""
