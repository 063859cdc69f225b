# kindling. `make help` lists the targets.
#
#   DEBUG=1   asserts                      SAN=1   address and undefined sanitizers
#   STRESS=1  collect all the time, tiny slices and tables
#
# Objects of the hosted VM (bin/ling) lie in build/hosted, those of the bare one
# in build/bare; what generators write lies in build/gen.

# V=1 shows whole command lines; otherwise what is made.
Q        = $(if $(V),,@echo '  $@';)

CC      := clang-19
LD      := ld.lld-19
PYTHON  := python3

MODE    := $(or $(if $(FUZZ),fuzz),$(if $(SAN),san),$(if $(STRESS),stress),$(if $(DEBUG),debug),release)
OBJ     := build/hosted-$(MODE)
GEN     := build/gen
OTPSRC  := build/dep/otp

WARN    := -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes
CFLAGS_release := -O2 -g -DNDEBUG
CFLAGS_debug   := -O1 -g
# Collect at every allocation, one reduction a slice, tables of two slots.
CFLAGS_stress  := -O1 -g -DSTRESS
CFLAGS_san     := -O1 -g -fsanitize=address,undefined -fno-sanitize=function \
                  -fno-sanitize-recover=undefined \
                  -fno-omit-frame-pointer
CFLAGS_fuzz    := $(CFLAGS_san) -fsanitize=fuzzer-no-link
LDFLAGS_fuzz   := -fsanitize=address,undefined
CFLAGS  := -std=gnu11 $(CFLAGS_$(MODE)) $(WARN) -Isrc -Iinclude -I$(GEN)
# Their loops are so tight that where they lie in a line makes a tenth: in these it
# does not depend on what the linker put before.
CFLAGS_ops := -falign-functions=64 -falign-loops=64
CFLAGS_ext_decode := $(CFLAGS_ops)
CFLAGS_ext_size := $(CFLAGS_ops)
CFLAGS_map := $(CFLAGS_ops)
CFLAGS_map_iter := $(CFLAGS_ops)
LDFLAGS_san := -fsanitize=address,undefined
LDLIBS  := -lm -ldl -lpthread -l:libz.a

VM_SRC  := $(filter-out src/op/t1%.c,$(wildcard src/op/*.c)) \
           $(wildcard src/vm/*.c src/bif/*.c src/io/*.c src/fs/*.c src/net/*.c)
OS_SRC  := $(wildcard src/os/linux/*.c src/io/drv/*.c)
VM_HDR  := $(wildcard src/*/*.h src/os/linux/*.h src/io/drv/*.h include/abi/*.h)
OP_TAB  := $(wildcard src/op/*.tab)
ATOM_SRC := $(VM_SRC) $(OS_SRC) $(wildcard src/*/*.h) $(OP_TAB)

LING := bin/ling$(if $(filter-out release,$(MODE)),-$(MODE))

all: $(LING)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# What the build needs of others. Made as a part of this Makefile, because the
# rest of it asks for installed tools and unpacked sources while it is read:
# make starts over once they are there.
READY := build/dep/ready.mk
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),all)),)
include $(READY)
endif
$(READY): deps/sources.txt deps/packages.txt deps/lwip.patch
	deps/install.sh
	deps/fetch.sh
	@echo '# deps/install.sh and deps/fetch.sh have run.' > $@

## deps        install packages, fetch the pinned sources the build takes parts from
deps: $(READY)

# Generated code
# A generator leaves a file alone that it would not change, so that little is
# rebuilt; the stamps say when it ran.
$(GEN)/atoms.stamp: src/op/gen/atoms.py src/vm/atom.def $(ATOM_SRC)
	@mkdir -p $(GEN)
	$(Q)$(PYTHON) src/op/gen/atoms.py $(GEN) src/vm/atom.def $(ATOM_SRC)
	@touch $@
$(GEN)/bifs.stamp: src/op/gen/bifs.py $(VM_SRC)
	@mkdir -p $(GEN)
	$(Q)$(PYTHON) src/op/gen/bifs.py $(GEN)/bifs.gen.c $(VM_SRC)
	@touch $@
$(GEN)/atoms.gen.h $(GEN)/atoms.gen.inc: $(GEN)/atoms.stamp ;
$(GEN)/bifs.gen.c: $(GEN)/bifs.stamp ;

include src/op/op.mk

# The hosted VM
HOSTED_OBJ := $(patsubst src/%.c,$(OBJ)/%.o,$(VM_SRC) $(OS_SRC)) \
              $(OBJ)/gen/bifs.gen.o $(OP_OBJ) $(T1_OBJ)
include deps/deps.mk

$(LING): $(HOSTED_OBJ) $(DEP_OBJ)
	@mkdir -p bin
	$(Q)$(CC) $(LDFLAGS_$(MODE)) -rdynamic -o $@ $^ $(LDLIBS)

$(OBJ)/%.o: src/%.c $(GEN)/atoms.gen.h $(GEN)/op.gen.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_$(notdir $*)) -MMD -MP -c -o $@ $<
$(OBJ)/gen/%.o: $(GEN)/%.c $(GEN)/atoms.gen.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OP_CFLAGS) -MMD -MP -c -o $@ $<

-include $(HOSTED_OBJ:.o=.d)

# Maintenance: count what the installed OTP needs. Native code has an instance for
# all of it, the interpreter but for the rare ones.
build/opscan: $(filter-out $(OBJ)/os/linux/main.o,$(HOSTED_OBJ)) $(DEP_OBJ) $(OBJ)/op/gen/scan.o
	$(Q)$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS)
combos: build/opscan
	(grep '^#' src/op/combos.txt; find -L "$$(dirname "$$(command -v erl)")/../lib/erlang/lib" \
	    -name '*.beam' | LC_ALL=C sort | xargs build/opscan | \
	    awk '{for (k = 0; $$3 > 1; k++) $$3 = int($$3 / 2); print $$1, $$2, k}' | \
	    LC_ALL=C sort) > build/combos.txt
	mv build/combos.txt src/op/combos.txt

include examples/examples.mk
include test/test.mk
include deps/musl.mk
include src/os/bare/bare.mk
include tender/tender.mk
include tool/tool.mk
include test/fuzz/fuzz.mk
include bench/bench.mk

## stress      the behaviour tests, collecting all the time, on tiny slices (an hour)
stress:
	TEST_MINUTES=30 TEST_DEPTH=5000 $(MAKE) STRESS=1 check-ling

PREFIX ?= /usr/local
## install     programs and man pages to PREFIX (/usr/local)
install: kindling
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 bin/kindling bin/tender bin/ling.elf bin/kindling.beam $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(wildcard doc/man/*.1) $(DESTDIR)$(PREFIX)/share/man/man1

# Runs where there is only Erlang: kindling and tender are static.
## dist        dist/kindling-VERSION.tar.gz, for machines without a compiler
VERSION := $(shell sed -n 's/.*KINDLING_VERSION "\(.*\)".*/\1/p' tool/kindling.h)
DIST    := kindling-$(VERSION)-x86_64
dist: kindling
	rm -rf build/dist
	$(MAKE) install DESTDIR=build/dist/$(DIST) PREFIX=
	cp LICENSE README.md build/dist/$(DIST)
	@mkdir -p dist
	tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C build/dist \
	    -cf - $(DIST) | gzip -n > dist/$(DIST).tar.gz
	@ls -l dist/$(DIST).tar.gz

## demo        build all, pack examples/hello and boot it, bake examples/web and ask 100 copies
demo: kindling examples
	bin/kindling build -o hello.img --run hello_app run $(EX)/hello
	bin/kindling run --boot-times hello.img
	bin/kindling build -o web.img --run web_app run $(EX)/web
	bin/kindling bake --ready app -o web.baked.img web.img
	bin/kindling burst --http 8080 100 web.baked.img

clean:
	rm -rf $(filter-out build/dep,$(wildcard build/*)) bin

.PHONY: all help deps demo stress install dist clean combos
