#!/bin/sh
# HTTP requests a second of examples/web, served by stock erl, by ling and by an
# image, in turns: the best of ROUNDS for 1, 16 and 64 connections, with the
# latencies of that round, and the CPU that the server used for a request; of an
# image, tender and switch. The load (bench/http.c) runs beside, on another core
# if there is one.
#
# usage: bench/net.sh HTTP EBIN IMAGE     (ROUNDS=3 SECONDS_EACH=3)
set -eu
http=$1 ebin=$2 image=$3 rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-3}
out=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$out"' EXIT

XDG_RUNTIME_DIR=$out
export XDG_RUNTIME_DIR

# run NAME COMMAND...: a server that says its port, all numbers of connections
run() {
    name=$1; shift
    "$@" -noshell -pa "$ebin" -web port 0 -web address '{127,0,0,1}' -run web_app run \
        > "$out/server" 2>&1 &
    server=$!
    measure "$name" ''
}
# image NAME MODE: the same of an instance
image() {
    published=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    bin/kindling run --on "$2" -p "$published:8080" "$image" > "$out/server" 2>&1 &
    server=$!
    measure "$1" "$published"
}
# measure NAME PORT: of $server, at PORT or where it says
measure() {
    name=$1 port=
    while [ -z "$port" ]; do
        kill -0 "$server" || { cat "$out/server" >&2; exit 1; }
        sleep 0.1
        port=$(sed -n 's/.*serving on port \([0-9]*\).*/\1/p' "$out/server")
    done
    port=${2:-$port}
    for n in 1 16 64; do
        before=$(cpu)
        # shellcheck disable=SC2046
        set -- $("$http" "$port" "$n" "$seconds" /counter)
        after=$(cpu)
        echo "$name $n $1 $2 $3 $((after - before))" >> "$out/rows"
    done
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
}
# Ticks of CPU that the server has used, an instance in a process below it, and
# the switch.
cpu() {
    for pid in "$server" $(cat "/proc/$server/task/$server/children") \
        $(cat "$out/kindling/.switch.lock" 2>/dev/null); do
        cat "/proc/$pid/stat" 2>/dev/null
    done | sed 's/.*) //' | awk '{ n += $12 + $13 } END { print n }'
}

i=0
while [ "$i" -lt "$rounds" ]; do
    run erl1 erl +S 1:1
    run erl erl
    run ling bin/ling
    [ -w /dev/kvm ] && image kvm kvm
    image process process
    i=$((i + 1))
done
awk -v hz="$(getconf CLK_TCK)" -v s="$seconds" '
    { k = $1 " " $2; if ($3 + 0 > best[k]) { best[k] = $3; p50[k] = $4; p99[k] = $5; cpu[k] = $6 } }
    END {
        split("erl1 erl ling kvm process", vm)
        split("erl +S 1:1,erl,ling,KVM image,process image", title, ",")
        split("1 16 64", conns)
        printf "%-14s %6s %12s %8s %8s %8s %8s\n", "", "conns", "requests/s", "p50 us", "p99 us", "CPU us", "ratio"
        for (c = 1; c <= 3; c++)
            for (v = 1; v <= 5; v++) {
                k = vm[v] " " conns[c]
                if (!(k in best))
                    continue
                printf "%-14s %6d %12d %8d %8d %8.1f %8.2f\n", title[v], conns[c], best[k],
                    p50[k], p99[k], 1e6 * cpu[k] / hz / (s + 1) / best[k], best[k] / best["erl1 " conns[c]]
            }
    }' "$out/rows"
