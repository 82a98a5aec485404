"""Knows what is due, when: plans, medicines, dose ladders, follow-ups, monitoring, appointments, zone and routine."""
