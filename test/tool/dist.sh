#!/bin/sh
# The tarball of `make dist`, where there is Erlang and nothing else: its
# programs need no library, and build and run an image with a PATH of only erl.
set -eu
cd "$(dirname "$0")/../.."
out=build/test/dist
rm -rf $out
mkdir -p $out/path
tar -C $out -xzf "$1"
dir=$(echo $out/kindling-*)
for program in kindling tender ling.elf; do
    if readelf -lW "$dir/bin/$program" | grep -q 'Requesting program interpreter'; then
        echo "FAIL $program wants a dynamic linker"
        exit 1
    fi
done
for page in doc/man/*.1; do test -s "$dir/share/man/man1/$(basename "$page")"; done
ln -s "$(readlink -f "$(command -v erl)")" $out/path/erl
alone() { env -i PATH=$out/path "$@"; }
alone "$dir/bin/kindling" build -q -o $out/hello.img --run hello_app run build/examples/hello
alone "$dir/bin/kindling" run --on process $out/hello.img > $out/said
grep -q 'restarted: true' $out/said
echo "dist: $(basename "$1") builds and runs an image without a compiler"
