"""The commands that ask or tell a running receiver something."""
