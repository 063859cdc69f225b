#!/bin/sh
# Real input: the modules of stdlib, compiled by the stock compiler on stock OTP,
# on ling and in an image in every mode there is; equal beams.
#
#   test/compile.sh [all]      all: every module under an emulated processor too
#
# build/examples/compile does it, and prints the MD5 of each beam.
set -u
cd "$(dirname "$0")/.."
ebin=build/examples/compile/ebin
out=build/test/compile
ten="lists maps dict gen_server ets io_lib_format erl_scan string supervisor zip"
failed=0
mkdir -p $out

# same NAME EXPECTED COMMAND...: it ends well and prints what stock OTP printed
same() {
    name=$1 expected=$2
    shift 2
    "$@" > $out/$name < /dev/null
    status=$?
    if [ $status -eq 0 ] && cmp $out/$expected $out/$name; then
        echo "compile, $name: $(tail -1 $out/$name), equal to stock OTP's"
    else
        echo "FAIL compile, $name: status $status, output in $out/$name"
        failed=1
    fi
}

erl -noshell -pa $ebin -s compile_stdlib run > $out/stock || exit 1
erl -noshell -pa $ebin -s compile_stdlib run -- $ten > $out/stock-ten || exit 1
same native stock bin/ling -noshell -pa $ebin -s compile_stdlib run
same interpreted stock bin/ling +JIT false -noshell -pa $ebin -s compile_stdlib run
bin/kindling build -q -o $out/image --run compile_stdlib run build/examples/compile || exit 1
same process stock bin/kindling run --on process $out/image
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    same kvm stock bin/kindling run --on kvm $out/image
else
    echo "SKIPPED: no /dev/kvm here, compile was not tested on KVM"
fi
if ! command -v qemu-system-x86_64 > /dev/null; then
    echo "SKIPPED: no QEMU here, compile was not tested under it"
elif [ "${1:-}" = all ]; then
    same tcg stock bin/kindling run --on qemu --tcg $out/image
else
    same tcg stock-ten bin/kindling run --on qemu --tcg $out/image -- $ten
fi
exit $failed
