# The tender: one static file, against Debian's musl and the kernel's headers.

HOST_MUSL  := /usr/lib/x86_64-linux-musl
HOST_LIB   := $(shell $(CC) -print-resource-dir)
HOST_INC   := build/host/include
# Built in another directory it is the same.
HOST_CFLAGS := -std=gnu11 -O2 -g "-ffile-prefix-map=$(CURDIR)=." $(WARN) --target=x86_64-linux-musl -nostdinc \
    -fno-stack-protector -fno-pie \
    -isystem $(HOST_LIB)/include -isystem /usr/include/x86_64-linux-musl \
    -isystem $(HOST_INC) -Iinclude -Itender -Itool
HOST_LINK  := $(LD) -static --gc-sections
HOST_CRT   := $(HOST_MUSL)/crt1.o $(HOST_MUSL)/crti.o
HOST_END   := $(HOST_MUSL)/libc.a $(HOST_LIB)/lib/linux/libclang_rt.builtins-x86_64.a \
              $(HOST_MUSL)/crtn.o

TENDER_OBJ := $(patsubst tender/%.c,build/host/tender/%.o,$(wildcard tender/*.c))

## tender      bin/tender: runs one image on KVM or as a process
tender: bin/tender

bin/tender: $(TENDER_OBJ)
	@mkdir -p bin
	$(Q)$(HOST_LINK) -o $@ $(HOST_CRT) $^ $(HOST_END)

# The kernel's headers, without glibc's that lie beside them.
$(HOST_INC)/.done:
	@mkdir -p $(HOST_INC)
	@ln -sfn /usr/include/linux $(HOST_INC)/linux
	@ln -sfn /usr/include/asm-generic $(HOST_INC)/asm-generic
	@ln -sfn /usr/include/x86_64-linux-gnu/asm $(HOST_INC)/asm
	@touch $@

build/host/%.o: %.c $(HOST_INC)/.done
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -MMD -MP -c -o $@ $<

# The gate of a process is copied to another page: nothing in it may refer to
# anything outside.
build/host/tender/stub.o: tender/stub.c $(HOST_INC)/.done
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -fPIE -fno-jump-tables -fno-vectorize -fno-slp-vectorize \
	    -fno-builtin -fno-asynchronous-unwind-tables -g0 -MMD -MP -c -o $@ $<
	@! llvm-readelf-19 -r $@ | grep R_X86 || \
	    { rm $@; echo "tender/stub.c refers to something outside its page"; exit 1; }

-include $(wildcard $(TENDER_OBJ:.o=.d))
.PHONY: tender
