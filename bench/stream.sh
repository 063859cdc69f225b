#!/bin/sh
# One TCP stream between two instances, and between two processes of stock erl and of
# bin/ling, in turns: the best of ROUNDS, in MB/s.
#
# usage: bench/stream.sh EBIN      (ROUNDS=3 MEGABYTES=100)
set -eu
ebin=$1 rounds=${ROUNDS:-3} megabytes=${MEGABYTES:-100}
out=$(mktemp -d)
sink=
trap '[ -z "$sink" ] || kill $sink 2>/dev/null; wait; rm -rf "$out"' EXIT
XDG_RUNTIME_DIR=$out
export XDG_RUNTIME_DIR
echo '{application, bench_stream, [{vsn, "1"}, {modules, [bench_stream]}, {registered, []},
    {applications, [kernel, stdlib]}]}.' > "$ebin/bench_stream.app"
bin/kindling build -q -o "$out/stream.img" --run bench_stream run "$ebin"

# ready NAME SINK...: started in the background, until it listens; $address is its own
ready() {
    name=$1; shift
    "$@" > "$out/sink" 2>&1 &
    sink=$! address=
    while [ -z "$address" ]; do
        kill -0 $sink || { cat "$out/sink" >&2; exit 1; }
        sleep 0.05
        address=$(sed -n "s/^sink at \($pattern.*\)/\1/p" "$out/sink" | head -1)
    done
}
# done_by SOURCE...: the same beside it
done_by() {
    "$@" < /dev/null | sed -n "s|\(.*\) MB.s|$name \1|p" >> "$out/rows"
    kill $sink
    wait $sink 2> /dev/null || true
    sink=
}
host() {
    pattern=127
    ready "$1" "$1" -noshell -pa "$ebin" -run bench_stream run -extra sink
    done_by "$1" -noshell -pa "$ebin" -run bench_stream run -extra source "$address" "$megabytes"
}
instances() {
    pattern=10
    ready "$1" bin/kindling run --net --on "$1" "$out/stream.img" -- sink
    done_by bin/kindling run --net --on "$1" "$out/stream.img" -- source "$address" "$megabytes"
}
modes=process
[ -w /dev/kvm ] && modes="kvm process"
i=0
while [ "$i" -lt "$rounds" ]; do
    host erl
    host bin/ling
    for mode in $modes; do instances "$mode"; done
    i=$((i + 1))
done
echo "one TCP stream, MB/s"
awk '{ if ($2 > best[$1]) best[$1] = $2 }
    END { for (n in best) printf "%-14s %8.1f\n", n, best[n] }' "$out/rows" | sort
