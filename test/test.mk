# Tests. Behaviour tests are Erlang (test/erl): the same .beam files run on
# stock OTP, then on ling, then in an image.

T_OUT   := build/test
T_SRC   := $(filter-out test/erl/test.erl,$(wildcard test/erl/*.erl))
T_MODS  := $(if $(T),$(T),$(patsubst test/erl/%.erl,%,$(T_SRC)))
T_BEAM  := $(patsubst test/erl/%.erl,$(T_OUT)/%.beam,$(T_SRC) test/erl/test.erl) \
    $(patsubst test/erl/%.S,$(T_OUT)/%.beam,$(wildcard test/erl/*.S))
comma   := ,
empty   :=
space   := $(empty) $(empty)
T_LIST  := [$(subst $(space),$(comma),$(strip $(T_MODS)))]

$(T_OUT)/%.beam: test/erl/%.erl test/erl/test.hrl $(wildcard test/erl/*.inc)
	@mkdir -p $(T_OUT)
	@echo '  $@'; erlc -W0 -o $(T_OUT) $<

$(T_OUT)/%.beam: test/erl/%.S test/asm.escript
	@mkdir -p $(T_OUT)
	@echo '  $@'; escript test/asm.escript $< $(T_OUT)

# A guard against what hangs; the machine may be loaded.
export TEST_MINUTES ?= 20

## check       all tests that finish in minutes (T=module for one of test/erl)
check: check-c check-stock check-ling check-nomem check-web check-net check-coverage check-badarg \
    check-images check-bare check-bake check-tool check-compile check-otp check-repro \
    check-diff check-jit check-profile check-san check-fuzz

check-stock: $(T_BEAM)
	erl -noshell -pa $(T_OUT) -eval 'test:run($(T_LIST))'
# The library of test/erl/nif_api.erl.
$(T_OUT)/nif_api.so: test/erl/nif_api.c
	@mkdir -p $(T_OUT)
	@echo '  $@'; $(CC) -shared -fPIC -O1 -g -DHAVE_SYS_UIO_H $(NIF_INC) -o $@ $<
# Those of test/erl/nif_life.erl: versions, and some that are refused.
T_LIVES := $(patsubst %,$(T_OUT)/nif_life_%.so,1 2 old twice flags)
T_LIFE_2     := -DVERSION=2
T_LIFE_old   := -DOLD_API
T_LIFE_twice := -DTWICE
T_LIFE_flags := -DFLAGS
$(T_LIVES): $(T_OUT)/nif_life_%.so: test/erl/nif_life.c
	@mkdir -p $(T_OUT)
	@echo '  $@'; $(CC) -shared -fPIC -O1 -g -DHAVE_SYS_UIO_H $(NIF_INC) $(T_LIFE_$*) -o $@ $<
# The driver of test/erl/driver_*.erl; once more for each way to be wrong.
T_DRIVERS := $(patsubst %,$(T_OUT)/driver_api%.so,_v _ack _lock _name _version _fails) \
    $(T_OUT)/driver_api.so
T_DRV_v       := -DDRIVER_NAME='"driver_api_v"' -DDRIVER_OUTPUTV
T_DRV_ack     := -DDRIVER_NAME='"driver_api_ack"' -DDRIVER_ACK
T_DRV_lock    := -DDRIVER_NAME='"driver_api_lock"'
T_DRV_name    := -DDRIVER_NAME='"another"'
T_DRV_version := -DDRIVER_NAME='"driver_api_version"' -DDRIVER_VERSION=1
T_DRV_fails   := -DDRIVER_NAME='"driver_api_fails"' -DDRIVER_INIT_FAILS
$(T_DRIVERS): test/erl/driver_api.c
	@mkdir -p $(T_OUT)
	@echo '  $@'; $(CC) -shared -fPIC -O1 -g -Wno-deprecated-declarations \
	    -DHAVE_SYS_UIO_H $(NIF_INC) \
	    $(T_DRV$(patsubst driver_api%.so,%,$(@F))) -o $@ $<
check-stock check-ling: $(T_OUT)/nif_api.so $(T_LIVES) $(T_DRIVERS)
check-ling: $(LING) $(T_BEAM)
	$(LING) -noshell -pa $(T_OUT) -eval 'test:run($(T_LIST))'
	$(LING) +JIT false -noshell -pa $(T_OUT) -eval 'test:run($(T_LIST))'

## check-san   the C and behaviour tests with the sanitizers (make SAN=1 alone builds it)
check-san:
	$(MAKE) SAN=1 check-c check-ling check-nomem

# A program, with each allocation failing in turn.
NOMEM_EVERY   := 2000
NOMEM_SAMPLES := 200
check-nomem: $(LING)
	@mkdir -p $(T_OUT)
	erlc -o $(T_OUT) test/nomem/nomem.erl
	$(PYTHON) test/nomem/run.py $(LING) $(T_OUT) $(NOMEM_EVERY) $(NOMEM_SAMPLES)

# Where there is KVM, images are tested on it too.
KVM := $(if $(wildcard /dev/kvm),kvm)
QEMU := $(shell command -v qemu-system-x86_64)

## check-web   examples/web on stock erl, on ling, in an image, in a baked one; a client outside
WEB_ARGS := -noshell -pa $(EX)/web/ebin -web port 0 -web address '{127,0,0,1}' -run web_app run
check-web: $(LING) examples kindling
	escript test/web.escript erl $(WEB_ARGS)
	escript test/web.escript $(LING) $(WEB_ARGS)
	bin/kindling build -q -o build/web.img --run web_app run $(EX)/web
	bin/kindling bake --ready app -o build/web.baked.img build/web.img
	for image in web.img web.baked.img; do for on in process $(KVM); do \
	    escript test/web.escript bin/kindling run --on $$on -p PORT:8080 build/$$image || exit 1; \
	done; done
	$(if $(QEMU),for image in web.img web.baked.img; do \
	    escript test/web.escript -c 4 bin/kindling run --on qemu --tcg -p PORT:8080 build/$$image \
	        || exit 1; \
	done,@echo "SKIPPED: no QEMU here, images were not tested under it")

# The same in an image, which has no Unix processes to spawn, no devices, links
# or owners among its files, and loads no .so.
T_HOSTED := port_spawn file_raw \
    $(patsubst test/erl/%.erl,%,$(wildcard test/erl/nif_*.erl test/erl/driver_*.erl))
T_IMAGE_LIST := [$(subst $(space),$(comma),$(strip $(filter-out $(T_HOSTED),$(T_MODS))))]
$(T_OUT).img: $(T_BEAM) bin/kindling bin/tender bin/ling.elf bin/kindling.beam
	@rm -rf $(T_OUT).beams; mkdir $(T_OUT).beams; cp $(T_BEAM) $(T_OUT).beams
	bin/kindling build -q -o $@ --app compiler --file /test=$(T_OUT).beams \
	    --eval 'code:add_path("/test"), test:run($(T_IMAGE_LIST)).'
check-images: bin/tender $(T_OUT).img
	bin/kindling run --on process -e TEST_MINUTES=$(TEST_MINUTES) $(T_OUT).img
	$(if $(KVM),bin/kindling run --on kvm -e TEST_MINUTES=$(TEST_MINUTES) $(T_OUT).img,\
	    @echo "SKIPPED: no /dev/kvm here, images were not tested on KVM")

## check-net   instances on the network of the switch
check-net: kindling
	test/net/run.sh
# Images that were baked, and their copies; check-long starts 10,000.
check-bake: kindling
	test/bake/run.sh
# Real input: stdlib compiled by the stock compiler, everywhere; equal beams.
check-compile: $(LING) kindling examples
	test/compile.sh
## check-real  real programs (PropEr, dialyzer, erlc, escript), and a million of everything
check-real: $(LING)
	test/real.sh
## soak        ten minutes of spawn, kill, link, send, ETS and code reload: memory stays flat
SOAK_SECONDS := 600
soak: $(LING) $(T_BEAM)
	erlc -o $(T_OUT) test/real/soak.erl
	$(LING) -noshell -kernel logger_level none -pa $(T_OUT) -run soak run $(SOAK_SECONDS) 1
## soak-net    ten minutes of bad clients and lost frames: answers, and memory stays flat
soak-net: kindling examples
	bin/kindling build -q -o build/web.img --run web_app run $(EX)/web
	bin/kindling bake --ready app -o build/web.baked.img build/web.img
	test/net/soak.py $(SOAK_SECONDS) build/web.baked.img
.PHONY: check-real soak soak-net
## check-long  tests that take an hour: all of stdlib on an emulated processor ...
check-long: check stress check-real
	test/bake/run.sh 10000
	test/compile.sh all

check-coverage: $(T_BEAM)
	escript test/coverage.escript $(T_OUT)

# Every BIF, called with wrong and odd arguments on stock OTP, then on ling.
# BADARG=file keeps the calls and what came of them.
BADARG ?= $(T_OUT)/badarg.calls
check-badarg: $(LING)
	@mkdir -p $(T_OUT)
	erlc -o $(T_OUT) test/badarg/badarg.erl
	erl +S 1:1 +SDcpu 1:1 -noshell -kernel logger_level none -pa $(T_OUT) \
	    -run badarg record $(BADARG)
	$(LING) -noshell -kernel logger_level none -pa $(T_OUT) -run badarg compare $(BADARG)

# What perf and gdb are told of native code; native code for another processor.
check-jit: $(LING)
	test/tool/jit.sh
	test/tool/cpu.sh
.PHONY: check-jit
# ling:profile, everywhere.
check-profile: $(LING) kindling examples
	test/profile/run.sh
.PHONY: check-profile

# The commands and their bad input, the shell on a terminal, the tarball.
check-tool: $(LING) kindling examples $(T_BEAM)
	test/tool/messages.sh
	test/tool/run.sh
	test/tool/shell.sh
	$(MAKE) dist
	test/tool/dist.sh dist/$(DIST).tar.gz
.PHONY: check-tool

# Two builds in different directories, time zones, users and umasks: equal bytes.
check-repro: kindling examples
	test/repro.sh

.PHONY: check-bake check-repro check-coverage check-badarg check-san check-nomem
.PHONY: check-web check-net check check-stock check-ling check-images check-compile check-long
include test/c/c.mk
include test/otp/otp.mk
include test/diff/diff.mk
