#!/bin/sh
# Baking: the ready instance in an image, its copies, and what is refused.
# test/bake/run.sh [CLONES] starts so many copies in turn (200).
set -u
cd "$(dirname "$0")/../.."
clones=${1:-200}
kindling=bin/kindling
out=build/bake
rm -rf $out
mkdir -p $out/ebin
passed=0
failed=0

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL: $*"; }
# expect STATUS COMMAND...: its status; what it writes goes to $out/out, err
expect() {
    want=$1
    shift
    "$@" > $out/out 2> $out/err < /dev/null
    got=$?
    if [ $got -eq $want ]; then good; else
        bad "$* ended with $got, not $want"
        head -5 $out/out $out/err
    fi
}
says() { if grep -q -- "$1" $out/$2; then good; else bad "no \"$1\" in $2"; cat $out/$2; fi; }
# refused STATUS PATTERN COMMAND...: in one line, and nothing of it is left running
refused() {
    want=$1 pattern=$2
    shift 2
    expect $want "$@"
    says "$pattern" err
    [ "$(wc -l < $out/err)" -eq 1 ] && good || bad "$* says not one line: $(head -5 $out/err)"
    tries=0
    while left=$(ps -eo pgid=,stat=,args= | awk -v g="$group" '$1 == g && $2 !~ /^Z/' |
            grep "[t]ender .*$out/") && [ $tries -lt 600 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    [ -z "$left" ] && good || bad "$* leaves $left"
}
group=$(ps -o pgid= -p $$)
build() { expect 0 $kindling build -q -o $out/$1.img --run bake_app $1 $out/ebin; }

erlc +nowarn_undefined_function -o $out/ebin test/bake/bake_app.erl || exit 1
echo '{application, bake_app, [{vsn, "1"}, {modules, [bake_app]}, {registered, []},
    {applications, [kernel, stdlib]}]}.' > $out/ebin/bake_app.app
modes=process
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then modes="process kvm"; else
    echo "no /dev/kvm: not tested on KVM" >&2; fi
# QEMU maps nothing and loads all; one start shows that it can.
if command -v qemu-system-x86_64 > /dev/null; then modes="$modes qemu"; fi

build start
for point in kernel app; do
    expect 0 $kindling bake --ready $point -o $out/$point.img $out/start.img
    expect 0 $kindling bake --ready $point -o $out/again.img $out/start.img
    expect 0 cmp $out/$point.img $out/again.img
    for mode in $modes; do
        on="--on $mode"
        [ $mode = qemu ] && on="--on qemu --tcg"
        expect 7 $kindling run $on -e GIVEN=here $out/$point.img -- one "two words"
        says 'args => \["one","two words"\]' out
        says 'env => "here"' out
        says 'set => "1"' out
        [ $point = kernel ] && says 'resumed => none' out || says 'resumed => 1' out
        # What a copy would load first is there, if the application rehearses.
        [ $point = kernel ] && says 'early => false' out || says 'early => true' out
        says 'told => false' out
        expect 7 $kindling run $on $out/$point.img
        says 'args => \[\]' out
    done
done

# No two copies are the same: reference, creation, rand, entropy, unique integer,
# hardware address as it knows it and as the network does, TCP's first number.
build identity
expect 0 $kindling bake --ready app -o $out/identity.img $out/identity.img
mkdir -m 700 $out/ids.run
test/bake/identity.py $clones $out/identity.img $PWD/$out/ids.run \
    process $(echo "$modes" | grep -o kvm) > $out/ids || bad "identity.py ended"
for field in 2 3 4 5 6 7 8 9; do
    n=$(cut -d' ' -f$field $out/ids | sort -u | wc -l)
    if [ "$n" -eq "$clones" ]; then good; else
        bad "$clones copies have only $n different values in field $field"; fi
done

# Time passes only by waiting, so five seconds of sleep take none.
build slow
expect 0 $kindling bake --ready app -o $out/slow.baked.img $out/slow.img
expect 0 $kindling run --on process $out/slow.baked.img
says 'slow is ready' out

# What never gets ready, or can't be kept.
for what in deaf quits port too_slow spins; do build $what; done
bake="$kindling bake --ready app -o $out/no.img"
refused 125 'kindling:ready/0 is called.*bake_app:deaf/0' $bake $out/deaf.img
refused 125 'ended with status 3 before kindling:ready/0' $bake $out/quits.img
refused 125 'port ram_file_drv is open.*\(port_owner\|init\)' $bake $out/port.img
# Of the time that passes in there: it took none to wait, above.
refused 125 'after all the time it was given' $bake --timeout 600 $out/too_slow.img
refused 125 'by --timeout.*spins/0\|not ready after 1 s' $bake --timeout 1 $out/spins.img
refused 125 'baked already' $kindling bake $out/app.img
refused 126 'no image' $kindling bake test/bake/run.sh
[ ! -e $out/no.img ] && good || bad "a bake that failed left an image"
[ -z "$(ls $out | grep tmp)" ] && good || bad "a bake that failed left files"
# In the background: found by name, its console kept, ended when asked.
XDG_RUNTIME_DIR=$PWD/$out/run.$$
export XDG_RUNTIME_DIR
mkdir -m 700 $XDG_RUNTIME_DIR
build serve
expect 0 $kindling bake --ready app -o $out/serve.baked.img $out/serve.img
until_log() {
    tries=0
    until $kindling logs $1 2> /dev/null | grep -q "$2" || [ $tries -ge 600 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    expect 0 $kindling logs $1
    says "$2" out
}
for mode in process $(echo "$modes" | grep -o kvm); do
    expect 0 $kindling run -d --name one --on $mode $out/serve.baked.img -- first
    says '^one$' out
    until_log one 'serving \["first"\]'
    expect 125 $kindling run -d --name one --on $mode $out/serve.baked.img
    says 'one of that name runs' err
    expect 0 $kindling run -d --on $mode $out/serve.baked.img
    second=$(cat $out/out)
    expect 0 $kindling ps
    says "^one  *[0-9]* $mode .*serve.baked.img" out
    says "^$second  *[0-9]* $mode" out
    expect 0 $kindling stop one $second
    expect 0 $kindling ps
    [ "$(wc -l < $out/out)" -eq 1 ] && good || bad "ps shows what was stopped: $(cat $out/out)"
    expect 0 $kindling logs -f one
    says 'SIGTERM' out
done
expect 125 $kindling stop one
says 'no instance of that name runs' err
expect 125 $kindling logs none
says 'no instance of that name ran' err
expect 125 $kindling run -d --name ../x $out/serve.baked.img
says 'for a name' err
expect 126 $kindling run -d --name bad test/bake/run.sh
# A keeper that was killed leaves a socket, which is no instance.
expect 0 $kindling run -d --name dead --on process $out/serve.baked.img
until_log dead serving
tender=$($kindling ps | awk '$1 == "dead" { print $2 }')
kill -KILL $(awk '/^PPid/ { print $2 }' /proc/$tender/status)
expect 0 $kindling ps
[ "$(wc -l < $out/out)" -eq 1 ] && good || bad "ps shows a dead one: $(cat $out/out)"
tries=0
while kill -0 $tender 2> /dev/null && [ $tries -lt 600 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -0 $tender 2> /dev/null && bad "an instance outlived its keeper" || good
chmod 755 $XDG_RUNTIME_DIR/kindling
expect 125 $kindling ps
says 'not ours alone' err
rm -rf $XDG_RUNTIME_DIR

# A tender that is killed takes its instance along.
$kindling run --on process $out/serve.baked.img > $out/out 2>&1 < /dev/null &
tender=$!
tries=0
until grep -q serving $out/out || [ $tries -ge 600 ]; do sleep 0.05; tries=$((tries + 1)); done
instance=$(cat /proc/$tender/task/$tender/children)
kill -KILL $tender
tries=0
while [ $tries -lt 600 ] && [ -d /proc/${instance%% *} ]; do sleep 0.05; tries=$((tries + 1)); done
[ $tries -lt 600 ] && good || bad "an instance in a process outlives its tender"

# Bursts from a pool and without one; the table of bench.
for mode in process $(echo "$modes" | grep -o kvm); do
    for cold in "" --cold; do
        expect 0 $kindling burst $cold --on $mode 20 $out/serve.baked.img
        says '^answered  *20 of 20, 20 live' out
        says '^Private_Dirty' out
    done
    expect 0 $kindling burst --seconds 5 --on $mode 2 $out/serve.baked.img
    says '^live copies a second  *[1-9]' out
    expect 0 $kindling bench -n 3 --on $mode --beside "echo here" $out/serve.img \
        $out/serve.baked.img
    says "^$out/serve.baked.img  *$mode" out
    says '^the command beside' out
done
refused 125 'they did not answer' $kindling burst --on process 2 $out/quits.img

# A pool that cannot grow: too few descriptors, too little memory.
limited() {
    ulimit $1 $2
    shift 2
    "$@"
}
few() { (limited -n 30 "$@"); }
small() { (limited -v 100000 "$@"); }
for cold in "" --cold; do
    refused 125 "cannot start a copy of $out/serve.baked.img: .*descriptors" \
        few $kindling burst $cold --on process 50 $out/serve.baked.img
done
refused 125 'cannot fill the pool: tender 1 of 20' \
    small $kindling burst --on process 20 $out/serve.baked.img

# Baked images that are damaged, of another build, or for a stronger processor.
# patch FIELD BYTE...: of the header, the page that begins with its magic
header=$(grep -obUaP 'INLKOFG\0' $out/app.img | head -1 | cut -d: -f1)
patch() {
    cp $out/app.img $out/patched.img
    printf "$2" | dd of=$out/patched.img bs=1 seek=$((header + $1)) conv=notrunc 2> $out/dd
}
head -c 3000000 $out/app.img > $out/short.img
hot=3224        # hot_offset, hot_bytes (image.h)
for mode in $modes; do
    on="--on $mode"
    [ $mode = qemu ] && on="--on qemu --tcg"
    refused 126 'cut short' $kindling run $on $out/short.img
    patch 8 '\377'
    refused 126 'patched.img: it is of format' $kindling run $on $out/patched.img
    patch 12 '\377'
    refused 126 'patched.img: it is of format' $kindling run $on $out/patched.img
    patch 28 '\004'
    refused 126 'patched.img: it is built for another processor' $kindling run $on $out/patched.img
    patch $hot '\377\377\377\377'
    refused 126 'patched.img: it is cut short' $kindling run $on $out/patched.img
    patch $((hot + 8)) '\001'
    refused 126 'patched.img: its header is damaged' $kindling run $on $out/patched.img
done

echo "bake: $passed passed, $failed failed"
[ $failed -eq 0 ]
