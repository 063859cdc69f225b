# musl for the bare VM: the parts of it that make sense without an operating
# system, and no `syscall` instruction (src/os/bare/musl/syscall_arch.h). What
# is left out is what talks to a kernel about processes, users or networks.

MUSL     := build/dep/musl
MUSL_OUT := build/musl
MUSL_LIB := $(MUSL_OUT)/libc.a
MUSL_DIR := complex conf ctype dirent env errno exit fcntl fenv internal legacy \
            locale malloc malloc/mallocng math misc mman multibyte prng regex \
            search setjmp signal stat stdio stdlib string temp thread time unistd
# Assembly is taken for these only: elsewhere in musl it makes system calls.
MUSL_ASM := fenv math setjmp string

MUSL_C   := $(foreach d,$(MUSL_DIR),$(wildcard $(MUSL)/src/$d/*.c))
MUSL_S   := $(foreach d,$(MUSL_ASM),$(wildcard $(MUSL)/src/$d/x86_64/*.[csS]))
# x86_64/name.s stands in for name.c
MUSL_C   := $(filter-out $(patsubst %.S,%.c,$(patsubst %.s,%.c,$(subst /x86_64/,/,$(MUSL_S)))), $(MUSL_C))
MUSL_OBJ := $(patsubst $(MUSL)/src/%,$(MUSL_OUT)/obj/%.o,$(MUSL_C) $(MUSL_S))
MUSL_INC := $(MUSL_OUT)/include

MUSL_CFLAGS := -std=c99 -O2 -nostdinc -ffreestanding -fexcess-precision=standard \
    -frounding-math -fno-strict-aliasing -fPIE -mno-red-zone -fno-stack-protector \
    -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -w \
    -D_XOPEN_SOURCE=700 -iquote src/os/bare/musl -I$(MUSL)/arch/x86_64 \
    -I$(MUSL)/arch/generic -I$(MUSL_OUT)/gen -I$(MUSL)/src/include \
    -I$(MUSL)/src/internal -I$(MUSL_INC) -I$(MUSL)/include

$(MUSL_OUT)/.headers: $(MUSL)/.done
	@rm -rf $(MUSL_INC) && mkdir -p $(MUSL_INC) $(MUSL_OUT)/gen
	cp -R $(MUSL)/include/. $(MUSL_INC)
	cp -R $(MUSL)/arch/generic/bits $(MUSL)/arch/x86_64/bits $(MUSL_INC)
	sed -f $(MUSL)/tools/mkalltypes.sed $(MUSL)/arch/x86_64/bits/alltypes.h.in \
	    $(MUSL)/include/alltypes.h.in > $(MUSL_INC)/bits/alltypes.h
	cp $(MUSL)/arch/x86_64/bits/syscall.h.in $(MUSL_INC)/bits/syscall.h
	sed -n 's/__NR_/SYS_/p' $(MUSL)/arch/x86_64/bits/syscall.h.in >> $(MUSL_INC)/bits/syscall.h
	echo '#define VERSION "$(shell cat $(MUSL)/VERSION 2>/dev/null)"' > $(MUSL_OUT)/gen/version.h
	@touch $@

$(MUSL_OUT)/obj/%.o: $(MUSL)/src/% $(MUSL_OUT)/.headers src/os/bare/musl/syscall_arch.h
	@mkdir -p $(@D)
	@$(CC) $(MUSL_CFLAGS) -c -o $@ $<

$(MUSL_LIB): $(MUSL_OBJ)
	@rm -f $@
	@echo "musl: $(words $(MUSL_OBJ)) objects"
	@llvm-ar-19 rcs $@ $(MUSL_OBJ)
