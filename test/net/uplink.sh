#!/bin/sh
# test/net/uplink.sh KINDLING IMAGE OUT: instances on the host's network by a tap.
# Run by run.sh in a network namespace of its own, where it may make one.
set -u
kindling=$1
image=$2
out=$3
here=$(dirname "$0")
mkdir -p "$out/uplink"
export XDG_RUNTIME_DIR="$out/uplink"
failed=0
uplink= echo=

equal() { [ "$2" = "$3" ] || { failed=1; echo "FAIL: uplink, $1: expected \"$2\", got \"$3\""; }; }
matches() { echo "$3" | grep -q -- "$2" ||
    { failed=1; echo "FAIL: uplink, $1: no \"$2\" in \"$3\""; }; }
run() { "$kindling" run --on process --net "$image" -- "$@" 2>&1 < /dev/null; }
trap '"$kindling" stop one 2> /dev/null
    for pid in $uplink $echo; do kill "$pid"; done' EXIT

ip link set lo up
ip tuntap add tap0 mode tap
ip address add 10.78.255.254/16 dev tap0
ip link set tap0 up
ip tuntap add tap1 mode tap
ip address add 192.0.2.1/32 dev lo      # beyond the host, as instances see it

matches "no such tap" "cannot use none for an uplink: there is no such interface" \
    "$("$kindling" uplink none 2>&1)"
matches "no tap" "cannot use lo for an uplink: it is no tap" "$("$kindling" uplink lo 2>&1)"
"$kindling" uplink tap0 &
uplink=$!
until ip link show tap0 | grep -q LOWER_UP; do
    kill -0 "$uplink" || exit 1
    sleep 0.05
done
matches "used" "cannot use tap0 for an uplink: .*busy" "$("$kindling" uplink tap0 2>&1)"
matches "another" "cannot use tap1 for an uplink: tap0 is the uplink already" \
    "$("$kindling" uplink tap1 2>&1)"

"$kindling" run -d --name one --on process --net "$image" -- echo 7777 > "$out/one"
address=
while [ -z "$address" ]; do
    "$kindling" ps | grep -q "^one " || { "$kindling" logs one; exit 1; }
    sleep 0.05
    address=$("$kindling" logs one | sed -n 's/^\(10[0-9.]*\) .*/\1/p')
done
rm -f "$out/echo_port"
python3 "$here/echo.py" 0.0.0.0 > "$out/echo_port" &
echo=$!
while [ ! -s "$out/echo_port" ]; do sleep 0.05; done
port=$(cat "$out/echo_port")

equal "host to instance" "all of it" "$(python3 "$here/through.py" "$address" 7777 1000000)"
equal "instance to host" "all of it" "$(run through 10.78.255.254 "$port" 1000000)"
equal "instance to beyond" "all of it" "$(run through 192.0.2.1 "$port" 100000)"
equal "each other" "all of it" "$(run through "$address" 7777 100000)"
equal "nobody listens" "{error,econnrefused}" "$(run connect 192.0.2.1 9)"

# Nobody there speaks as one of the network.
rm -f "$out/spoof.pcap"
"$kindling" dump one > "$out/spoof.pcap" &
dump=$!
while [ ! -s "$out/spoof.pcap" ] && kill -0 $dump; do sleep 0.05; done      # it looks on
python3 - "$address" << 'EOF'
import socket, struct, sys
ip = socket.inet_aton(sys.argv[1])
to = b"\x02\x4b\x69\x6e" + ip[2:]
us, gateway = b"\x02\0\0\0\0\1", b"\x02\x4b\x69\x6e\0\1"
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("tap0", 0))
def ip4(mac, source, text):
    s.send(to + mac + b"\x08\0" + struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(text), 0, 0, 64, 17, 0)
           + socket.inet_aton(source) + ip + struct.pack(">HHHH", 1, 1, 8 + len(text), 0) + text)
def arp(mac, source):
    s.send(to + mac + b"\x08\x06\0\1\x08\0\6\4\0\2" + us + socket.inet_aton(source) + to + ip
           + b"a lie")
ip4(us, "10.78.0.1", b"a lie")
ip4(us, "10.78.0.200", b"a lie")
ip4(gateway, "10.78.255.9", b"a lie")
arp(us, "10.78.0.1")
arp(gateway, "10.78.255.9")
s.send(to + us + b"\x08\0a lie")
s.send(to + us + b"\x08\x06")
ip4(us, "10.78.255.9", b"the truth")
EOF
tries=0
until grep -aq "the truth" "$out/spoof.pcap" || [ $tries -ge 1200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
equal "truth" 1 "$(grep -ac "the truth" "$out/spoof.pcap")"
equal "lies" 0 "$(grep -ac "a lie" "$out/spoof.pcap")"

# It ends, the others go on.
kill "$uplink"
wait "$uplink" 2> /dev/null
uplink=
while ip link show tap0 | grep -q LOWER_UP; do sleep 0.05; done
equal "each other, without" "all of it" "$(run through "$address" 7777 1000)"
equal "beyond, without" "{error,timeout}" \
    "$(run connect 192.0.2.1 "$port" 3000 | sed 's/ehostunreach/timeout/')"
"$kindling" stop one
wait "$dump"
equal "switch log" "" "$(cat "$XDG_RUNTIME_DIR/kindling/.switch.log")"
exit $failed
