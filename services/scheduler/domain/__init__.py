"""What is due, when: pure decisions of the scheduler. Standard library only; `now` is always an argument, values come back."""
