# The instructions: generated from src/op/*.tab.
OP_OBJ := $(OBJ)/gen/t0.gen.o
$(GEN)/ops.stamp: src/op/gen/ops.py src/op/combos.txt $(OP_TAB)
	@mkdir -p $(GEN)
	$(Q)$(PYTHON) src/op/gen/ops.py $(GEN) src/op/combos.txt $(OP_TAB)
	@touch $@
$(GEN)/t0.gen.c $(GEN)/op.gen.h: $(GEN)/ops.stamp ;
# Instances keep nothing on the C stack: no frame, no canary.
# Sanitizers need a C stack, which the instances' calling convention has not.
OP_CFLAGS := -Wno-unused-variable -Wno-unused-function -fomit-frame-pointer \
             $(if $(SAN),-fno-sanitize=all)
