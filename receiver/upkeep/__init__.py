"""What looks after the receiver and its sources beside the alerts' way: audit, heartbeat, reconciliation."""
