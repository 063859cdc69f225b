#!/bin/sh
# Install the packages of deps/packages.txt, or of the file beside it that is named,
# that this machine misses. Names them first, asks nothing; needs root (or sudo) only
# when one is missing.
set -eu
cd "$(dirname "$0")"
missing=
while read -r package file _; do
    case $package in '#'*|'') continue ;; esac
    [ -e "$file" ] || missing="$missing $package"
done < "${1:-packages.txt}"
[ -n "$missing" ] || exit 0
echo "installing:$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
if ! command -v apt-get > /dev/null; then
    echo "deps/install.sh: no apt-get here; install by hand:$missing" >&2
    exit 1
fi
log=$(mktemp)
run() { $sudo env DEBIAN_FRONTEND=noninteractive "$@" > "$log" 2>&1; }
# shellcheck disable=SC2086
if ! { run apt-get update -q && run apt-get install -qy --no-install-recommends $missing; }; then
    cat "$log" >&2
    echo "deps/install.sh: apt-get could not install:$missing" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
