# The instructions: generated from src/op/*.tab.
$(GEN)/ops.stamp: src/op/gen/ops.py src/op/combos.txt $(OP_TAB)
	@mkdir -p $(GEN)
	$(Q)$(PYTHON) src/op/gen/ops.py $(GEN) src/op/combos.txt $(OP_TAB)
	@touch $@
OP_GEN := t0.gen.c t1.gen.c t1_entry.gen.c t1_shared.gen.c
$(OP_GEN:%=$(GEN)/%) $(GEN)/op.gen.h: $(GEN)/ops.stamp ;

# Instances keep nothing on the C stack: no frame, no canary.
# Sanitizers need a C stack, which the instances' calling convention has not.
OP_CFLAGS := -Wno-unused-variable -Wno-unused-function -fomit-frame-pointer \
             $(if $(SAN),-fno-sanitize=all)

# Native code: instances to assembly, assembly to stencils (stencils.py). It is
# the same for the hosted and the bare VM, but for what MODE defines.
T1 := $(GEN)/t1-$(MODE)
# What processor they are for: a level of the x86-64 psABI. ling asks for it when it
# starts; images have the first one.
STENCIL_CPU := x86-64
T1_CFLAGS := -std=gnu11 -O2 $(filter -D%,$(CFLAGS_$(MODE))) -DNDEBUG -Isrc -Iinclude -I$(GEN) \
    -march=$(STENCIL_CPU) -fno-pic -mcmodel=small -fno-jump-tables -fcf-protection=none -fno-stack-protector \
    -fomit-frame-pointer -mstack-alignment=8 -mno-red-zone -fno-vectorize \
    -fno-slp-vectorize -fwrapv -fno-asynchronous-unwind-tables \
    -Xclang -no-enable-noundef-analysis -Wno-unused-variable
$(T1)/%.raw.s: $(GEN)/%.gen.c $(GEN)/atoms.gen.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(T1_CFLAGS) -MMD -MP -MT $@ -MF $(@:.s=.d) -S -o $@ $<
$(T1)/%.raw.s: src/op/%.c $(GEN)/atoms.gen.h $(GEN)/op.gen.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(T1_CFLAGS) -MMD -MP -MT $@ -MF $(@:.s=.d) -S -o $@ $<
$(T1)/stencils.gen.c: $(T1)/t1.raw.s src/op/gen/stencils.py
	$(Q)$(PYTHON) src/op/gen/stencils.py $< "$(CC) -c" $(STENCIL_CPU) $@
$(T1)/%.s: $(T1)/%.raw.s src/op/gen/stencils.py
	$(Q)$(PYTHON) src/op/gen/stencils.py $< $@
$(T1)/%.o: $(T1)/%.s
	$(Q)$(CC) -c -o $@ $<
$(T1)/stencils.o: $(T1)/stencils.gen.c src/op/stencil.h
	$(Q)$(CC) -std=gnu11 -O2 -fPIE -Isrc -c -o $@ $<
.PRECIOUS: $(T1)/%.raw.s $(T1)/%.s $(T1)/stencils.gen.c
-include $(wildcard $(T1)/*.d)

T1_OBJ := $(addprefix $(T1)/,stencils.o t1_cold.o t1_entry.o t1_shared.o t1_slow.o)
OP_OBJ := $(OBJ)/gen/t0.gen.o
