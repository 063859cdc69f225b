# Objects made of other people's sources, fetched by deps/fetch.sh. Each
# library adds its objects to DEP_OBJ (hosted).
DEP_OBJ :=

# OTP's NIF interface, whose header we implement, and its NIF sources, which
# take the emulator's config.h and sys.h from src/io/abi.
NIF_INC := -Isrc/io/abi -I$(OTPSRC)/erts/emulator/beam
CFLAGS_nif := $(NIF_INC)
CFLAGS_nif_term := $(NIF_INC)
CFLAGS_nif_resource := $(NIF_INC)
CFLAGS_nif_lib := $(NIF_INC)
CFLAGS_nif_load := $(NIF_INC)

# Port drivers of libraries, over the same headers.
$(OBJ)/io/drv/%.o: CFLAGS += $(NIF_INC)

# zlib's natives
DEP_OBJ += $(OBJ)/dep/zlib_nif.o
$(OBJ)/dep/zlib_nif.o: $(OTPSRC)/erts/emulator/nifs/common/zlib_nif.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(CFLAGS_$(MODE)) -w -DSTATIC_ERLANG_NIF $(NIF_INC) -Isrc -c -o $@ $<

include deps/pcre.mk
include deps/ryu.mk
include deps/lwip.mk
