# Measurements.

## bench       boot times of hello.img beside erl (speed of code: not there yet)
bench: kindling examples
	bin/kindling build -q -o build/hello.img --run hello_app run $(EX)/hello
	bench/boot.sh build/hello.img
## bench-idle  CPU of an idle shell in every mode
bench-idle: kindling examples
	bin/kindling build -q -o build/shell.img --shell $(EX)/compile
	bench/idle.sh build/shell.img
.PHONY: bench bench-idle
