"""What a message is enriched with, a file each."""
