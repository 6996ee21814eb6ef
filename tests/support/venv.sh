#!/bin/sh
# Debian's python3 comes without venv: install it where we may, else say how.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing python3-venv (this Debian's python3 has no venv) ..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
else
    echo "This python3 has no venv. Install it with:  sudo apt-get install python3-venv" >&2
    exit 1
fi
