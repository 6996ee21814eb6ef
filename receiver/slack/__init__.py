"""Presses on the buttons of messages in Slack."""
