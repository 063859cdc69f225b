#!/bin/sh
# HTTP requests a second of examples/web, served by stock erl and by ling, in
# turns: the best of ROUNDS for 1, 16 and 64 connections, with the latencies of
# that round, and the CPU that the server used for a request. The load (bench/http.c) runs beside, on another core if there is
# one.
#
# usage: bench/net.sh HTTP EBIN      (ROUNDS=3 SECONDS_EACH=3)
set -eu
http=$1 ebin=$2 rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-3}
out=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$out"' EXIT

# run NAME COMMAND...: one server, all numbers of connections
run() {
    name=$1; shift
    "$@" -noshell -pa "$ebin" -web port 0 -web address '{127,0,0,1}' -run web_app run \
        > "$out/server" 2>&1 &
    server=$!
    port=
    while [ -z "$port" ]; do
        kill -0 "$server" || { cat "$out/server" >&2; exit 1; }
        sleep 0.1
        port=$(sed -n 's/.*serving on port \([0-9]*\).*/\1/p' "$out/server")
    done
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
# Ticks of CPU the server has used.
cpu() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }

i=0
while [ "$i" -lt "$rounds" ]; do
    run erl1 erl +S 1:1
    run erl erl
    run ling bin/ling
    i=$((i + 1))
done
awk -v hz="$(getconf CLK_TCK)" -v s="$seconds" '
    { k = $1 " " $2; if ($3 + 0 > best[k]) { best[k] = $3; p50[k] = $4; p99[k] = $5; cpu[k] = $6 } }
    END {
        split("erl1 erl ling", vm); split("erl +S 1:1,erl,ling", title, ",")
        split("1 16 64", conns)
        printf "%-12s %6s %12s %8s %8s %8s %8s\n", "", "conns", "requests/s", "p50 us", "p99 us", "CPU us", "ratio"
        for (c = 1; c <= 3; c++)
            for (v = 1; v <= 3; v++) {
                k = vm[v] " " conns[c]
                printf "%-12s %6d %12d %8d %8d %8.1f %8.2f\n", title[v], conns[c], best[k],
                    p50[k], p99[k], 1e6 * cpu[k] / hz / (s + 1) / best[k], best[k] / best["erl1 " conns[c]]
            }
    }' "$out/rows"
