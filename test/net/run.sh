#!/bin/sh
# The network of instances: addresses, names, published ports, each other, dumps,
# and what is left when one ends or is killed.
set -u
cd "$(dirname "$0")/../.."
kindling=$PWD/bin/kindling
out=$PWD/build/net
rm -rf "$out"
mkdir -p "$out/ebin" "$out/run"
export XDG_RUNTIME_DIR="$out/run"
passed=0
failed=0
started=

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL: $*"; }
equal() { if [ "$2" = "$3" ]; then good; else bad "$1: expected \"$2\", got \"$3\""; fi; }
matches() { if echo "$3" | grep -qE -- "$2"; then good; else bad "$1: no \"$2\" in \"$3\""; fi; }
# $on: one word, or --tcg behind it
run() { "$kindling" run --on $on --net "$out/net.img" -- "$@" 2>&1 < /dev/null; }
# What runs: all that ps shows but how long it does.
running() { "$kindling" ps | awk '{ $4 = ""; print }'; }
# start NAME OPTIONS... -- ARGS: in the background; $address is its own
start() {
    name=$1
    shift
    "$kindling" run -d --name "$name" --on $on "$@" > /dev/null || bad "$name does not start"
    started="$started $name"
    address=
    while [ -z "$address" ] && "$kindling" ps | grep -q "^$name "; do
        sleep 0.05
        address=$("$kindling" logs "$name" | sed -n 's/^\(10[0-9.]*\) .*/\1/p')
        address6=$("$kindling" logs "$name" | sed -n 's/^10.* \(fe80.*\)/\1/p')
    done
    [ -n "$address" ] || bad "$name ended: $("$kindling" logs "$name")"
}
stop() {
    for name in $started; do "$kindling" stop --timeout 2 "$name"; done 2> /dev/null
    started=
}
free_port() { test/free_port.py; }
is_free() {
    python3 -c 'import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("free")' "$1" 2>&1
}
# refused WHAT WHY OPTIONS...: a run with these ends so, in one line; nothing of it runs
refused() {
    what=$1 why="kindling: $2
125"
    shift 2
    before=$(running)
    equal "$what" "$why" "$("$kindling" run --on $on "$@" "$out/net.img" 2>&1; echo $?)"
    equal "$what, in the background" "$why" \
        "$("$kindling" run -d --name refused --on $on "$@" "$out/net.img" 2>&1; echo $?)"
    equal "$what, after it" "$before" "$(running)"
}
# What a client on the host gets back of N bytes that it sends, and ends.
through() { python3 test/net/through.py 127.0.0.1 "$1" "$2"; }
resolver= host_echo=
trap 'stop; late stop late 2> /dev/null
    for pid in $resolver $host_echo; do kill "$pid"; done' EXIT

erlc -o "$out/ebin" test/net/net_app.erl || exit 1
echo '{application, net_app, [{vsn, "1"}, {modules, [net_app]}, {registered, []},
    {applications, [kernel, stdlib]}]}.' > "$out/ebin/net_app.app"
"$kindling" build -q -o "$out/net.img" --run net_app start "$out/ebin" || exit 1
modes=process
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then modes="process kvm"; else
    echo "no /dev/kvm: not tested on KVM" >&2; fi
dns=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 test/net/resolver.py "$dns" > "$out/resolver" &
resolver=$!
export KINDLING_RESOLVER=127.0.0.1:$dns

# One that hears nothing, not even of others, for longer than a connection may
# take to be made, and than the switch asks one again that refuses.
late_port=$(free_port)
mkdir -p "$out/late"
late() { XDG_RUNTIME_DIR="$out/late" "$kindling" "$@"; }
late run -d --name late --on process -p "$late_port:7777" "$out/net.img" -- echo 7777 > "$out/late/name"
late_since=$(date +%s)

for on in $modes; do
    # Each start has an address of its own, and one that was let go is not the next.
    one=$(run address)
    two=$(run address)
    matches "$on address" '^10\.78\.[0-9.]+ \[2,75,105,110,' "$one"
    if [ "$one" != "$two" ]; then good; else bad "$on: two starts with $one"; fi

    equal "$on names" "one.test is 10.1.2.3
two.test: nxdomain" "$(run resolve one.test two.test)"
    # Without a network a name is not waited for.
    equal "$on no network" "one.test: nxdomain" \
        "$("$kindling" run --on "$on" "$out/net.img" -- resolve one.test 2>&1)"

    port=$(free_port)
    start "echo-$on" -p "$port:7777" "$out/net.img" -- echo 7777
    server=$address
    equal "$on published, little" "all of it" "$(through "$port" 10)"
    equal "$on published, much" "all of it" "$(through "$port" 3000000)"
    equal "$on each other" "all of it" "$(run through "$server" 7777 1000000)"
    equal "$on each other, IPv6" "all of it" "$(run through "$address6" 7777 100000)"
    equal "$on nobody listens" "{error,econnrefused}" "$(run connect "$server" 7778)"
    equal "$on nobody's datagram" "{error,econnrefused}" "$(run datagrams "$server")"
    equal "$on no such instance" "{error,ehostunreach}" "$(run connect 10.78.200.200 80 3000 |
        sed 's/timeout/ehostunreach/')"
    refused "$on port in use" "cannot publish $port:1: Address in use" -p "$port:1"

    rm -f "$out/dump.pcap"
    "$kindling" dump "echo-$on" > "$out/dump.pcap" &
    dump=$!
    while [ ! -s "$out/dump.pcap" ] && kill -0 $dump; do sleep 0.05; done     # it looks on
    through "$port" 1000 > /dev/null
    "$kindling" stop "echo-$on"
    wait "$dump"
    equal "$on dump ends" 0 $?
    matches "$on dump" "10.78.0.1.* > $server.7777: Flags .S." \
        "$(tcpdump -n -r "$out/dump.pcap" 2> "$out/tcpdump")"

    # What was sent arrives, though the instance ended meanwhile.
    port=$(free_port)
    start "pour-$on" -p "$port:7777" "$out/net.img" -- pour 7777 5000000
    equal "$on sent and ended" 5000000 "$(python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 300)
n = 0
while part := s.recv(100000):
    n += len(part)
print(n)' "$port")"

    # The same, of a host that reads only when the instance is long gone.
    port=$(free_port)
    start "late-pour-$on" -p "$port:7777" "$out/net.img" -- pour 7777 300000
    equal "$on read after the end" 300000 "$(python3 -c '
import socket, subprocess, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.settimeout(300)
s.connect(("127.0.0.1", int(sys.argv[1])))
while sys.argv[3] in subprocess.check_output([sys.argv[2], "ps"], text=True):
    time.sleep(0.05)
n = 0
while part := s.recv(100000):
    n += len(part)
print(n)' "$port" "$kindling" "late-pour-$on" 2>&1 | tail -1)"

    # Killed: the port is free again, whoever was connected is told.
    port=$(free_port)
    start "victim-$on" -p "$port:7777" "$out/net.img" -- echo 7777
    pid=$("$kindling" ps | awk -v n="victim-$on" '$1 == n { print $2 }')
    equal "$on killed" "reset" "$(python3 -c '
import os, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 300)
s.sendall(b"x")
s.recv(1)
os.kill(int(sys.argv[2]), 9)
try:
    print("end" if not s.recv(1) else "data")
except ConnectionResetError:
    print("reset")' "$port" "$pid")"
    tries=0
    until [ "$(is_free "$port")" = free ] || [ $tries -ge 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    equal "$on port is free" "free" "$(is_free "$port")"
    stop
done

# Under QEMU: its own card, and the network that QEMU makes.
python3 test/net/echo.py 127.0.0.1 > "$out/host_echo" &
host_echo=$!
while [ ! -s "$out/host_echo" ]; do sleep 0.05; done
if ! command -v qemu-system-x86_64 > /dev/null; then
    echo "no QEMU: not tested under it" >&2
    modes=
fi
for on in $(echo "$modes" | sed 's/process/qemu:--tcg/; s/kvm/qemu/'); do
    on=$(echo "$on" | tr : ' ')
    matches "$on address" '^10\.78\.0\.15 \[2,75,105,' "$(run address)"
    port=$(free_port)
    unheard=$(free_port)
    start "echo-qemu" -p "$port:7777" -p "$unheard:7778" "$out/net.img" -- echo 7777
    equal "$on published, little" "all of it" "$(through "$port" 10)"
    equal "$on published, much" "all of it" "$(through "$port" 3000000)"
    equal "$on nobody listens inside" "end" "$(python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 300)
try:
    print("data" if s.recv(10) else "end")
except ConnectionResetError:
    print("end")' "$unheard")"
    equal "$on to the host" "all of it" "$(run through 10.78.0.2 "$(cat "$out/host_echo")" 1000000)"
    equal "$on nobody listens" "{error,econnrefused}" "$(run connect 10.78.0.2 "$(free_port)")"
    refused "$on port in use" "cannot publish $port:1: Address in use" -p "$port:1"
    # It has nothing to do, and does nothing: a tenth of a processor at most, as soon as
    # what came before is done. Both in hundredths of a second.
    machine=$(pgrep -P "$("$kindling" ps | awk '$1 == "echo-qemu" { print $2 }')")
    ticks() { awk '{ print $14 + $15 }' "/proc/$machine/stat"; }
    clock() { sed 's/\.\([0-9]*\) .*/\1/' /proc/uptime; }
    for attempt in 1 2 3; do
        before=$(ticks) since=$(clock)
        sleep 3
        used=$(($(ticks) - before)) passed_ticks=$(($(clock) - since))
        [ $((used * 10)) -ge $passed_ticks ] || break
    done
    if [ $((used * 10)) -lt $passed_ticks ]; then good; else
        bad "$on idle takes $used ticks of $passed_ticks"; fi
    matches "$on dump" "cannot dump echo-qemu: " "$("$kindling" dump echo-qemu 2>&1)"
    stop
    # QEMU asks the host's resolver, at port 53: in a network of our own.
    if unshare -rmn true 2> "$out/unshare"; then
        echo "nameserver 127.0.0.1" > "$out/resolv.conf"
        equal "$on names" "one.test is 10.1.2.3
two.test: nxdomain" "$(unshare -rmn sh -c "
            ip link set lo up && mount --bind '$out/resolv.conf' /etc/resolv.conf || exit
            python3 test/net/resolver.py 53 > '$out/resolver53' &
            while [ ! -s '$out/resolver53' ]; do sleep 0.05; done
            '$kindling' run --on $on --net '$out/net.img' -- resolve one.test two.test
            kill \$!" < /dev/null 2>&1)"
        rm "$out/resolver53"
    else
        echo "SKIPPED: no namespaces here, names under QEMU were not tested" >&2
    fi
done

# The host's network, by a tap: in a network namespace, where anybody may make one.
alone="unshare -n"
[ "$(id -u)" = 0 ] || alone="unshare -cn --keep-caps"
if $alone ip tuntap add tap0 mode tap 2> "$out/unshare"; then
    if $alone test/net/uplink.sh "$kindling" "$out/net.img" "$out"; then good; else
        bad "uplink"; fi
else
    echo "SKIPPED: no tap can be made here, the uplink was not tested: $(cat "$out/unshare")" >&2
fi

# No address is left, until somebody ends.
on=process
mkdir -p "$out/few"
export XDG_RUNTIME_DIR="$out/few" KINDLING_PORTS=2
start few1 --net "$out/net.img" -- echo 7777
start few2 --net "$out/net.img" -- echo 7777
port=$(free_port)
refused "no address" "cannot get a port of the switch: no address is left" -p "$port:7777"
equal "no address, port is free" "free" "$(is_free "$port")"
equal "no address, the others" "10.78.0.3" "$address"
"$kindling" stop few1
matches "an address again" "^10.78.0.2 " "$(run address)"
stop
unset KINDLING_PORTS
export XDG_RUNTIME_DIR="$out/run"

# Frames get lost, come twice, change places.
on=process
mkdir -p "$out/faults"
export XDG_RUNTIME_DIR="$out/faults" KINDLING_FAULTS=3,3,5
port=$(free_port)
start faulty -p "$port:7777" "$out/net.img" -- echo 7777
equal "faults, published" "all of it" "$(through "$port" 1000000)"
equal "faults, each other" "all of it" "$(run through "$address" 7777 1000000)"
stop
export XDG_RUNTIME_DIR="$out/run"
unset KINDLING_FAULTS

while [ $(($(date +%s) - late_since)) -lt 33 ]; do sleep 1; done
equal "first heard late" "all of it" "$(through "$late_port" 1000)"
late stop late

# The switch ends when nobody is left, and says nothing meanwhile.
equal "switch log" "" "$(cat "$out/run/kindling/.switch.log")"
i=0
while [ -e "$out/run/kindling/.switch.socket" ] && [ $i -lt 600 ]; do
    sleep 0.2
    i=$((i + 1))
done
if [ -e "$out/run/kindling/.switch.socket" ]; then bad "the switch is still there"; else good; fi

echo "net: $passed passed, $failed failed"
[ $failed -eq 0 ]
