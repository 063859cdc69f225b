#!/bin/sh
# Fetch the source packages of deps/sources.txt into build/dep and unpack what
# the build takes from them. Nothing is fetched twice; every file is checked.
#
#   deps/fetch.sh             all
#
# The files come from the Debian mirrors this machine is set up with (a private
# copy of its apt configuration gets the deb-src lines), or from the directory
# KINDLING_DISTFILES names, which is looked into first.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
dep=$top/build/dep
mkdir -p "$dep"

die() { echo "deps/fetch.sh: $*" >&2; exit 1; }

# A private apt configuration: the machine's own sources, as deb-src.
apt_setup() {
    apt=$dep/apt
    [ -f "$apt/ready" ] && return
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] && sed -n 's/^deb[ \t]/deb-src /p' "$f" |
            grep -w debian >> "$apt/sources/machine.list" || true
    done
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] && grep -q debian "$f" &&
            sed 's/^Types:.*/Types: deb-src/' "$f" > "$apt/sources/$(basename "$f")" || true
    done
    apt_get update > "$apt/log" 2>&1 || { cat "$apt/log" >&2; die "apt-get update failed"; }
    touch "$apt/ready"
}
apt_get() {
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null \
        -o Dir::Etc::sourceparts="$apt/sources" -o Dir::State::lists="$apt/lists" \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root "$@"
}

# One row: package version file sha256
get() {
    file=$dep/$3
    if [ ! -f "$file" ] && [ -n "${KINDLING_DISTFILES:-}" ] &&
        [ -f "$KINDLING_DISTFILES/$3" ]; then
        cp "$KINDLING_DISTFILES/$3" "$file"
    fi
    if [ ! -f "$file" ]; then
        echo "fetch $1 $2"
        apt_setup
        (cd "$dep" && apt_get source --download-only "$1=$2") > "$dep/log" 2>&1 ||
            { cat "$dep/log" >&2; die "cannot fetch $1 $2"; }
    fi
    [ -f "$file" ] || die "$1 $2 came without $3"
    echo "$4  $file" | sha256sum -c --quiet - >&2 || {
        rm -f "$file"
        die "$3 is not the file whose SHA-256 deps/sources.txt has"
    }
}

grep -v '^#' "$top/deps/sources.txt" | while read -r package version file sha; do
    get "$package" "$version" "$file" "$sha"
done

# What is taken out of them.
otp=$dep/otp
if [ ! -f "$otp/.done" ]; then
    echo "unpack erlang"
    rm -rf "$otp"
    mkdir -p "$otp"
    tar xf "$dep"/erlang_*.orig.tar.xz -C "$otp" --strip-components=1 --wildcards \
        '*/erts/emulator/pcre' '*/erts/emulator/ryu' '*/erts/emulator/nifs/common' \
        '*/erts/emulator/beam/erl_nif*.h' '*/erts/emulator/beam/erl_drv_nif.h' \
        '*/erts/emulator/beam/erl_driver.h' '*/erts/include' \
        '*/erts/emulator/test' '*/lib/stdlib/test' '*/lib/kernel/test' \
        '*/lib/compiler/test' '*/LICENSE.txt'
    touch "$otp/.done"
fi
if [ ! -f "$dep/musl/.done" ]; then
    echo "unpack musl"
    rm -rf "$dep/musl"
    mkdir -p "$dep/musl"
    tar xf "$dep"/musl_*.orig.tar.gz -C "$dep/musl" --strip-components=1
    tar xf "$dep"/musl_*.debian.tar.xz -C "$dep/musl"
    if [ -f "$dep/musl/debian/patches/series" ]; then
        grep -v '^#' "$dep/musl/debian/patches/series" | while read -r p; do
            [ -n "$p" ] && patch -s -d "$dep/musl" -p1 < "$dep/musl/debian/patches/$p"
        done
    fi
    touch "$dep/musl/.done"
fi
if [ ! -f "$dep/lwip/.done" ] || [ "$top/deps/lwip.patch" -nt "$dep/lwip/.done" ]; then
    echo "unpack lwip"
    rm -rf "$dep/lwip"
    mkdir -p "$dep/lwip"
    tar xf "$dep"/lwip_*.orig.tar.xz -C "$dep/lwip" --strip-components=1 --wildcards \
        '*/COPYING' '*/src/core' '*/src/include/lwip' '*/src/include/netif' '*/src/netif'
    find "$dep/lwip" -name '*.[ch]' -exec sed -i 's/\r$//' {} +
    patch -s -d "$dep/lwip" -p1 < "$top/deps/lwip.patch"
    touch "$dep/lwip/.done"
fi
