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
        expect 7 $kindling run $on $out/$point.img
        says 'args => \[\]' out
    done
done

# No two copies are the same.
: > $out/ids
i=0
while [ $i -lt $clones ]; do
    mode=process
    case "$modes" in *kvm*) [ $((i % 2)) -eq 0 ] && mode=kvm ;; esac
    $kindling run --on $mode $out/app.img < /dev/null 2>> $out/err | grep '^id ' >> $out/ids
    i=$((i + 1))
done
for field in 2 3 4 5 6; do
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
for what in deaf quits port spins; do build $what; done
expect 125 $kindling bake --ready app -o $out/no.img $out/deaf.img
says 'kindling:ready/0 is called.*bake_app:deaf/0' err
expect 125 $kindling bake --ready app -o $out/no.img $out/quits.img
says 'ended with status 3 before kindling:ready/0' err
expect 125 $kindling bake --ready app -o $out/no.img $out/port.img
says 'port ram_file_drv is open.*port_owner\|port ram_file_drv is open.*init' err
expect 125 $kindling bake --ready app --timeout 3 -o $out/no.img $out/slow.img
says 'after all the time it was given' err
expect 125 $kindling bake --ready app --timeout 1 -o $out/no.img $out/spins.img
says 'not ready after 1 s' err
expect 125 $kindling bake $out/app.img
says 'baked already' err
expect 126 $kindling bake test/bake/run.sh
[ ! -e $out/no.img ] && good || bad "a bake that failed left an image"
[ -z "$(ls $out | grep tmp)" ] && good || bad "a bake that failed left files"
head -c 3000000 $out/app.img > $out/short.img
expect 126 $kindling run $out/short.img
says 'cut short' err

echo "bake: $passed passed, $failed failed"
[ $failed -eq 0 ]
