# kindling: one static file; tender and bare ling lie beside it.

TOOL_OBJ := $(patsubst tool/%.c,build/host/tool/%.o,$(wildcard tool/*.c)) \
    $(addprefix build/host/tender/,elfimage.o host.o report.o)

## kindling    bin/kindling, bin/tender, bin/ling.elf: build and run images
kindling: bin/kindling bin/tender bin/ling.elf bin/kindling.beam

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
