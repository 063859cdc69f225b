#!/bin/sh
# A ling whose stencils are for another processor: it says so when it starts, and
# interprets when asked to.
set -eu
cd "$(dirname "$0")/../.."
other=build/test/ling-other-cpu
err=build/test/ling-other-cpu.err

cp bin/ling $other
# Read-only data comes first in the file, each byte where its address says.
at=$(nm $other | awk '$3 == "stencil_cpu" {print $1}')
is=$(dd if=$other bs=1 skip=$((0x$at)) count=6 2> /dev/null)
[ "$is" = x86-64 ] || { echo "FAIL cpu: there is '$is' at stencil_cpu"; exit 1; }
printf 'mips64' | dd of=$other bs=1 seek=$((0x$at)) conv=notrunc 2> /dev/null

status=0
$other -noshell -eval 'halt(0).' 2> $err || status=$?
[ $status -eq 1 ] || { echo "FAIL cpu: status $status"; exit 1; }
grep -q 'no native code: .*level mips64' $err || { echo "FAIL cpu: $(cat $err)"; exit 1; }
$other +JIT false -noshell -eval 'halt(0).' || { echo "FAIL cpu: +JIT false"; exit 1; }
rm -f $other $err
echo "stencils for another processor are refused"
