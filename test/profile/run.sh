#!/bin/sh
# ling:profile on the compiler at work: the stacks that a compiler must have, in
# bin/ling, interpreted, and in an image; a flame graph that is XML; bad arguments.
set -u
cd "$(dirname "$0")/../.."
out=build/test/profile
ebin=build/examples/compile/ebin
failed=0
mkdir -p $out

# stacks NAME COMMAND...: folded stacks, each "frame;frame N", with the compiler's.
stacks() {
    name=$1
    shift
    "$@" > $out/$name < /dev/null || { echo "FAIL profile, $name: status $?"; failed=1; }
    grep ';' $out/$name > $out/$name.stacks
    if ! grep -q 'compile:.*;v3_core:' $out/$name.stacks ||
        ! grep -q ';beam_ssa_opt:' $out/$name.stacks; then
        echo "FAIL profile, $name: stacks of the compiler are missing, see $out/$name"
        failed=1
    elif grep -qvE '^[^ ;]+(;[^ ;]+)* [0-9]+$' $out/$name.stacks; then
        echo "FAIL profile, $name: a line is no folded stack, see $out/$name.stacks"
        failed=1
    else
        echo "profile, $name: $(wc -l < $out/$name.stacks) stacks"
    fi
}

profile='compile_stdlib:profile(standard_io).'
stacks native bin/ling -noshell -pa $ebin -eval "$profile"
stacks interpreted bin/ling +JIT false -noshell -pa $ebin -eval "$profile"
bin/kindling build -q -o $out/profile.img --eval "$profile" build/examples/compile || exit 1
stacks image bin/kindling run --on process $out/profile.img
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    stacks kvm bin/kindling run --on kvm $out/profile.img
else
    echo "SKIPPED: no /dev/kvm here, profiling was not tested on KVM"
fi

bin/ling -noshell -pa $ebin -eval "compile_stdlib:profile(\"$out/flame.svg\")." > $out/svg.out ||
    failed=1
python3 -c '
import sys, xml.dom.minidom
titles = [t.firstChild.data for t in
          xml.dom.minidom.parse(sys.argv[1]).getElementsByTagName("title")]
assert any(t.startswith("compile:") for t in titles), titles[:5]
' $out/flame.svg || { echo "FAIL profile: $out/flame.svg"; failed=1; }

bin/ling -noshell -eval '
    [{error, badarg} = try apply(ling, profile, A) catch C:R -> {C, R} end ||
        A <- [[x], [start, 1], [start, 1 bsl 70], [start, a], [stop, png], [1, 2]]],
    <<>> = ling:profile(stop),
    ok = ling:profile(start, 100), ok = ling:profile(start, 100),
    B = ling:profile(stop), true = is_binary(B), B = ling:profile(stop, folded),
    halt(0).' || { echo "FAIL profile: bad arguments"; failed=1; }
exit $failed
