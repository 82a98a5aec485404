"""Pure decisions of the adherence service: stdlib only, `now` is an argument, values come back."""
