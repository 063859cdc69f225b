# Bare ling: the same VM sources, over src/os/bare and our musl, linked at a
# fixed base, with the shim carried along as data.

BARE      := build/bare
GUEST_BASE ?= 0x200000000000
BARE_TARGET := --target=x86_64-linux-musl -nostdinc \
    -isystem $(shell $(CC) -print-resource-dir)/include -isystem $(MUSL_INC)
BARE_CODE := -std=gnu11 -O2 -g $(WARN) -fPIE -mno-red-zone -fno-stack-protector \
    -fcf-protection=none -ffunction-sections -fdata-sections -DGUEST_BASE=$(GUEST_BASE) \
    -DLING_BARE -Isrc -Iinclude -I$(GEN) -I$(BARE)
BARE_CFLAGS = $(BARE_TARGET) $(BARE_CODE)
SHIM_CFLAGS := $(BARE_TARGET) -std=gnu11 -O2 $(WARN) -ffreestanding -fno-pie \
    -mcmodel=small -mgeneral-regs-only -mno-red-zone -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fcf-protection=none -Iinclude -Isrc
BARE_RT := $(shell $(CC) -print-resource-dir)/lib/linux/libclang_rt.builtins-x86_64.a

# Debian's zlib is made for glibc; fortify.c has the few names it adds.
BARE_LIBZ := /usr/lib/x86_64-linux-gnu/libz.a

# All of os/bare but main.c, which is the VM's; a test brings its own.
BARE_OS_SRC := $(filter-out src/os/bare/main.c,$(wildcard src/os/bare/*.c))
BARE_OS_OBJ := $(patsubst src/%,$(BARE)/%.o,$(BARE_OS_SRC) src/os/bare/entry.S)
SHIM_OBJ    := $(addprefix $(BARE)/os/bare/shim/,start.S.o shim.c.o virtio_net.c.o)

$(BARE)/os/bare/shim/%.o: src/os/bare/shim/% $(MUSL_OUT)/.headers
	@mkdir -p $(@D)
	$(Q)$(CC) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<
$(BARE)/shim.bin: $(SHIM_OBJ) src/os/bare/shim/shim.ld
	$(Q)$(LD) -static -T src/os/bare/shim/shim.ld -o $(BARE)/shim.elf $(SHIM_OBJ)
	llvm-objcopy-19 -O binary $(BARE)/shim.elf $@

$(BARE)/%.S.o: src/%.S $(BARE)/shim.bin
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) -MMD -MP -c -o $@ $<
$(BARE)/%.c.o: src/%.c $(MUSL_OUT)/.headers
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) $(CFLAGS_$(notdir $*)) -MMD -MP -c -o $@ $<

# Loops of these must not become calls of themselves.
$(BARE)/os/bare/memcpy.c.o: BARE_CODE += -fno-builtin -fno-vectorize

# $(call bare_link,objects): a guest, checked to hold nothing only a kernel can do
BARE_LINK = $(LD) -static --gc-sections --defsym=BASE=$(GUEST_BASE) \
    -T src/os/bare/link.ld -o $@ $(filter %.o,$^) \
    --start-group $(filter %.a,$^) $(MUSL_LIB) $(BARE_RT) --end-group
BARE_CHECK = @! llvm-objdump-19 -d --no-show-raw-insn $@ | \
    grep -wE '(syscall|sysenter|cpuid|int)[[:space:]]*$$' || { rm $@; exit 1; }

# The VM: the sources of bin/ling but for what is Linux's.
# Its sockets are lwIP's.
BARE_NET_SRC := $(wildcard src/net/lwip/*.c)
BARE_LWIP_OBJ := $(patsubst %.c,$(BARE)/dep/lwip/%.o,$(LWIP_SRC))
BARE_VM_SRC := $(filter-out src/fs/posix.c,$(VM_SRC)) src/os/bare/main.c $(BARE_NET_SRC)
BARE_VM_OBJ := $(patsubst src/%,$(BARE)/%.o,$(BARE_VM_SRC)) \
    $(BARE)/gen/bifs.gen.o $(patsubst $(OBJ)/%,$(BARE)/%,$(OP_OBJ) $(DEP_OBJ)) $(T1_OBJ) $(BARE_LWIP_OBJ)

$(BARE_VM_OBJ): $(GEN)/atoms.gen.h $(GEN)/op.gen.h $(MUSL_OUT)/.headers $(BARE)/include/zlib.h
$(BARE_VM_OBJ): BARE_CODE += -DNDEBUG -isystem $(BARE)/include
$(BARE)/include/zlib.h: /usr/include/zlib.h /usr/include/zconf.h
	@mkdir -p $(@D)
	@cp $^ $(@D)
$(BARE)/gen/%.o: $(GEN)/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) $(OP_CFLAGS) -MMD -MP -c -o $@ $<
$(BARE)/dep/zlib_nif.o: $(OTPSRC)/erts/emulator/nifs/common/zlib_nif.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) -w -DSTATIC_ERLANG_NIF $(NIF_INC) -c -o $@ $<
$(BARE)/dep/pcre/%.o: $(PCRE_GEN)/config.h $(PCRE_GEN)/pcre_exec_loop_break_cases.inc
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) $(PCRE_CFLAGS) -c -o $@ $(pcre_c)
$(BARE)/dep/lwip/%.o:
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) $(LWIP_CFLAGS) -c -o $@ $(LWIP_DIR)/$*.c
$(patsubst src/%,$(BARE)/%.o,$(BARE_NET_SRC)): BARE_CODE += $(LWIP_INC)
$(BARE_LWIP_OBJ): src/net/lwip/lwipopts.h build/dep/lwip/.done
$(BARE)/dep/ryu/%.o:
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) -w -c -o $@ $(RYU_SRC)/$*.c

## bare        build/bare/ling.elf: ling for images
bare: $(BARE)/ling.elf
$(BARE)/ling.elf: $(BARE_VM_OBJ) $(BARE_OS_OBJ) $(MUSL_LIB) $(BARE_LIBZ) src/os/bare/link.ld
	$(Q)$(BARE_LINK)
	$(BARE_CHECK)

# A small program over the same os.h, which tests the machine without the VM.
$(BARE)/probe-code.elf: $(BARE)/test/bare/probe.o $(BARE_OS_OBJ) $(MUSL_LIB) src/os/bare/link.ld
	$(Q)$(BARE_LINK)
	$(BARE_CHECK)
# The same, sealed: without a code window.
$(BARE)/probe.elf: $(BARE)/test/bare/probe.o \
        $(filter-out %/entry.S.o,$(BARE_OS_OBJ)) $(BARE)/entry-sealed.o $(MUSL_LIB) src/os/bare/link.ld
	$(Q)$(BARE_LINK)
	$(BARE_CHECK)
$(BARE)/entry-sealed.o: src/os/bare/entry.S $(BARE)/shim.bin
	$(Q)$(CC) $(BARE_CFLAGS) -DIMAGE_CODE_BYTES=0 -c -o $@ $<
$(BARE)/test/bare/probe.o: test/bare/probe.c $(MUSL_OUT)/.headers
	@mkdir -p $(@D)
	$(Q)$(CC) $(BARE_CFLAGS) -MMD -MP -c -o $@ $<

## check-bare  tests and attacks on the bare machine, in every mode there is
check-bare: kindling $(BARE)/probe.elf $(BARE)/probe-code.elf
	test/bare/run.sh
.PHONY: bare check-bare
-include $(wildcard $(patsubst %.o,%.d,$(BARE_OS_OBJ) $(BARE_VM_OBJ) $(SHIM_OBJ) $(BARE)/test/bare/probe.o))
