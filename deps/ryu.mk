# Ryu: the shortest text of a double. OTP's copy prints as OTP does. Compiled as
# it is, with the warnings its authors had.
RYU_SRC := $(OTPSRC)/erts/emulator/ryu
DEP_OBJ += $(OBJ)/dep/ryu/d2s.o
$(OBJ)/dep/ryu/%.o:
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -w -DNDEBUG -c -o $@ $(RYU_SRC)/$*.c
CFLAGS_numtext := -I$(OTPSRC)/erts/emulator
