# kindling: one static file; tender and bare ling lie beside it.

# The switch (switch_*.c) speaks by lwIP, as instances do.
TOOL_LWIP := $(patsubst %.c,build/host/dep/lwip/%.o,$(LWIP_SRC)) build/host/src/net/lwip/ticks.o
TOOL_OBJ := $(TOOL_LWIP) $(patsubst tool/%.c,build/host/tool/%.o,$(wildcard tool/*.c)) \
    $(addprefix build/host/tender/,elfimage.o host.o report.o seccomp.o)

## kindling    bin/kindling, bin/tender, bin/ling.elf: build and run images
kindling: bin/kindling bin/tender bin/ling.elf bin/kindling.beam

build/host/tool/switch_%.o build/host/src/net/lwip/%.o: HOST_CFLAGS += $(LWIP_INC)
$(TOOL_LWIP): src/net/lwip/lwipopts.h
build/host/dep/lwip/%.o: $(LWIP_DIR)/%.c $(HOST_INC)/.done
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(LWIP_CFLAGS) -ffunction-sections -c -o $@ $<

bin/kindling: $(TOOL_OBJ)
	@mkdir -p bin
	$(Q)$(HOST_LINK) -o $@ $(HOST_CRT) $^ $(HOST_END)
bin/ling.elf: $(BARE)/ling.elf
	@mkdir -p bin
	llvm-objcopy-19 --strip-debug $< $@

bin/kindling.beam: lib/kindling.erl
	@mkdir -p bin
	@echo '  $@'; erlc +deterministic +nowarn_undefined_function -o bin $<

-include $(wildcard $(TOOL_OBJ:.o=.d))
.PHONY: kindling
