# Erlang's PCRE 8.44, for re: it can stop in the middle of a match and go on
# later, which other versions can't. Its objects lie in $(OBJ)/dep/pcre.
#
# pcre_exec.c includes a table of the lines where a match can be resumed, made
# here from the source as OTP's pcre.mk does. pcre.patch: a limit that is used up
# to the last step is no longer taken for none, and the search for where a match
# could begin tells src/bif/re_scan.h how far it is.
PCRE_DIR := $(OTPSRC)/erts/emulator/pcre
PCRE_GEN := $(GEN)/pcre
PCRE_SRC := pcre_byte_order pcre_compile pcre_config pcre_exec pcre_fullinfo \
    pcre_get pcre_globals pcre_latin_1_table pcre_maketables pcre_newline \
    pcre_ord2utf8 pcre_refcount pcre_string_utils pcre_study pcre_tables \
    pcre_ucd pcre_valid_utf8 pcre_version pcre_xclass
PCRE_CFLAGS := -DHAVE_CONFIG_H -DERLANG_INTEGRATION -I$(PCRE_GEN) -I$(PCRE_DIR) -Isrc/bif -w \
    $(if $(SAN),-fno-sanitize=undefined)
DEP_OBJ += $(PCRE_SRC:%=$(OBJ)/dep/pcre/%.o)

$(PCRE_GEN)/config.h: deps/pcre.mk
	@mkdir -p $(@D)
	printf '#define HAVE_%s 1\n' STDINT_H INTTYPES_H SYS_TYPES_H STRING_H \
	    STDLIB_H MEMMOVE STRERROR LIMITS_H > $@
	echo '#include "local_config.h"' >> $@
$(PCRE_GEN)/pcre_exec.c: deps/pcre.mk deps/pcre.patch
	@mkdir -p $(@D)
	patch -s -o $@ $(PCRE_DIR)/pcre_exec.c deps/pcre.patch
$(PCRE_GEN)/pcre_exec_loop_break_cases.inc: $(PCRE_GEN)/pcre_exec.c
	grep -n COST_CHK $< | grep -v 'COST_CHK(N)' | \
	    awk -F: '{ printf "case %d: goto L_LOOP_COUNT_%d;\n", $$1 + 100, $$1 }' > $@
pcre_c = $(if $(filter pcre_exec,$*),$(PCRE_GEN),$(PCRE_DIR))/$*.c
$(OBJ)/dep/pcre/%.o: $(PCRE_GEN)/config.h $(PCRE_GEN)/pcre_exec_loop_break_cases.inc
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS_$(MODE)) $(PCRE_CFLAGS) -c -o $@ $(pcre_c)
CFLAGS_re := -DERLANG_INTEGRATION -I$(PCRE_DIR)
CFLAGS_re_option := $(CFLAGS_re)
CFLAGS_re_compile := $(CFLAGS_re)
CFLAGS_re_capture := $(CFLAGS_re)
