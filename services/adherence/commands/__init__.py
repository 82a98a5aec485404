"""What is done to the record and to alerts, whoever asks for it (an event, due work, a person): load, decide, save, say."""
