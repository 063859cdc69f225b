#!/bin/sh
# CPU of an idle shell: bench/idle.sh IMAGE [SECONDS], an image built with
# --shell of an application that does nothing by itself. Percent of one CPU, of
# every process of the instance, over the seconds after its first three.
set -eu
image=$1
seconds=${2:-10}
ticks=$(getconf CLK_TCK)
tree() { for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do echo "$c"; tree "$c"; done; }
used() { # pid: clock ticks of it and its children
    for p in $1 $(tree "$1"); do
        awk '{print $14 + $15}' /proc/"$p"/stat 2>/dev/null || echo 0
    done | awk '{n += $1} END {print n + 0}'
}
measure() {
    dir=$(mktemp -d)
    mkfifo "$dir/in"
    bin/kindling run "$@" "$image" < "$dir/in" > "$dir/out" 2>&1 &
    pid=$!
    exec 9> "$dir/in"
    sleep 3
    before=$(used $pid)
    sleep "$seconds"
    after=$(used $pid)
    echo '1000 + 234.' >&9
    sleep 1
    woke=no
    grep -q 1234 "$dir/out" && woke=yes
    kill -KILL $(tree $pid) $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    exec 9>&-
    rm -rf "$dir"
    awk -v t=$((after - before)) -v hz="$ticks" -v s="$seconds" -v m="$*" -v w=$woke \
        'BEGIN {printf "%-24s %5.2f %% CPU idle, a line wakes it: %s\n", m, 100 * t / hz / s, w}'
}
measure --on process
[ -w /dev/kvm ] && measure --on kvm
command -v qemu-system-x86_64 > /dev/null && measure --on qemu --tcg
[ -w /dev/kvm ] && command -v qemu-system-x86_64 > /dev/null && measure --on qemu
exit 0
