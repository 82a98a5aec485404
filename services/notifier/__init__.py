"""notifier: how to say it once, and hear the reply. Owns contacts, consent, messages and conversations."""
