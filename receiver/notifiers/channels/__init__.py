"""A file a channel, each a pure function from a Message to what that channel takes."""
