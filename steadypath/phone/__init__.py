"""The phone simulator: Twilio's REST and webhook protocol, and a page of phones, in a process of its own."""
