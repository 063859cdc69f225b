#!/bin/sh
# HTTP requests a second of examples/web, served by stock erl, by ling and by an
# image, same code: the best of ROUNDS for 1, 16 and 64 connections, with the
# latencies of that round and where its CPU went, a request. All servers run all the time,
# idle but for the one that is asked; they take turns for each number of
# connections. The load (bench/http.c) runs beside, on another core if there is one.
#
# usage: bench/net.sh HTTP EBIN IMAGE     (ROUNDS=3 SECONDS_EACH=1)
set -eu
http=$1 ebin=$2 image=$3 rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-1}
out=$(mktemp -d)
names=
trap 'for name in $names; do kill "$(cat "$out/$name.pid")"; done 2>/dev/null; wait; rm -rf "$out"' EXIT

XDG_RUNTIME_DIR=$out
export XDG_RUNTIME_DIR

# began NAME PORT: the one just started serves there; '' where it says
began() {
    echo $! > "$out/$1.pid"
    names="$names $1"
    port=
    while [ -z "$port" ]; do
        kill -0 "$(cat "$out/$1.pid")" || { cat "$out/$1.out" >&2; exit 1; }
        sleep 0.05
        port=$(sed -n 's/.*serving on port \([0-9]*\).*/\1/p' "$out/$1.out")
    done
    echo "${2:-$port}" > "$out/$1.port"
}
# run NAME COMMAND...: a server on the host
run() {
    name=$1; shift
    "$@" -noshell -pa "$ebin" -web port 0 -web address '{127,0,0,1}' -run web_app run \
        > "$out/$name.out" 2>&1 &
    began "$name" ''
}
# image MODE: an instance
image() {
    published=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    bin/kindling run --on "$1" -p "$published:8080" "$image" > "$out/$1.out" 2>&1 &
    began "$1" "$published"
}
# Ticks so far: of the server and, if it is an instance in a process, what is
# below it: user (a guest's is that of the instance), kernel; of the switch, the same.
cpu() {
    pid=$(cat "$out/$1.pid")
    switch=$(cat "$out/kindling/.switch.lock" 2>/dev/null || echo none)
    for p in "$pid" $(cat "/proc/$pid/task/$pid/children"); do
        # Whoever came first is the parent of the switch.
        [ "$p" = "$switch" ] || cat "/proc/$p/stat" 2>/dev/null
    done | sed 's/.*) //' | awk '{ u += $12; s += $13 } END { printf "%d %d ", u, s }'
    { cat "/proc/$switch/stat" 2>/dev/null || echo ") "; } | sed 's/.*) //' |
        awk '{ printf "%d %d\n", $12, $13 }'
}
ask() {
    before=$(cpu "$1")
    # shellcheck disable=SC2046
    set -- "$1" "$2" $("$http" "$(cat "$out/$1.port")" "$2" "$seconds" /counter)
    echo "$1 $2 $3 $4 $5 $before $(cpu "$1")" >> "$out/rows"
}

run erl1 erl +S 1:1
run erl erl
run ling bin/ling
[ -w /dev/kvm ] && image kvm
image process
i=0
while [ "$i" -lt "$rounds" ]; do
    for conns in 1 16 64; do
        for name in $names; do ask "$name" "$conns"; done
    done
    i=$((i + 1))
done
awk -v hz="$(getconf CLK_TCK)" -v s="$seconds" '
    function us(v) { return 1e6 * v / hz / (s * 4 / 3) / best[k] }
    {
        k = $1 " " $2
        if ($3 + 0 > best[k]) {
            best[k] = $3; p50[k] = $4; p99[k] = $5
            for (i = 0; i < 4; i++)
                part[k, i] = $(10 + i) - $(6 + i)
        }
    }
    END {
        split("erl1 erl ling kvm process", vm)
        split("erl +S 1:1,erl,ling,KVM image,process image", title, ",")
        split("1 16 64", conns)
        printf "%-14s %5s %10s %6s %7s %7s   %s\n", "", "", "", "", "", "", "CPU us a request"
        printf "%-14s %5s %10s %6s %7s %7s %6s %6s %6s %6s %6s\n", "", "conns", "requests/s", "ratio",
            "p50 us", "p99 us", "all", "user", "kernel", "switch", "its k."
        for (c = 1; c <= 3; c++)
            for (v = 1; v <= 5; v++) {
                k = vm[v] " " conns[c]
                if (!(k in best))
                    continue
                printf "%-14s %5d %10d %6.2f %7d %7d", title[v], conns[c], best[k],
                    best[k] / best["erl1 " conns[c]], p50[k], p99[k]
                all = part[k, 0] + part[k, 1]
                if (v > 3)
                    all += part[k, 2] + part[k, 3]
                printf " %6.1f %6.1f %6.1f", us(all), us(part[k, 0]), us(part[k, 1])
                if (v > 3)
                    printf " %6.1f %6.1f", us(part[k, 2]), us(part[k, 3])
                print ""
            }
    }' "$out/rows"
