#!/bin/sh
# Installs what the tests need beside Python: a Redis server, PostgreSQL, Chromium and a C compiler, and with the word "all"
# also faketime, for the tests of faults that take long. Does nothing where all of it is there.
set -eu

missing=""
command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1 || missing="redis-server"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 ||
    missing="$missing chromium"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
if [ "${1:-}" = all ]; then
    command -v faketime >/dev/null 2>&1 || missing="$missing faketime"
fi
[ -n "$missing" ] || exit 0

stop() {
    echo "The tests need$(printf ' %s' $missing), and $1. Install with: apt-get install $missing; on macOS: brew install redis postgresql libfaketime, brew install --cask chromium." >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || stop "there is no apt-get here"
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || stop "only root may install it"
    as_root="sudo -n"
fi
echo "Installing$(printf ' %s' $missing)"
{ $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
    stop "apt-get could not install it"
