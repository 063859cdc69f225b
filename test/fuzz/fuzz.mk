# Fuzz targets (libFuzzer, ASan, UBSan). They need a build of their own: FUZZ=1.
#
#   make fuzz                  each target for FUZZ_SECONDS (3600)
#   make check-fuzz            20 seconds each, each time the same: what it finds the
#                              commit before it did not have
#
# Seeds: the test modules, terms of every kind, the smallest image. What a run finds goes to
# build/fuzz; a fixed bug's input is kept in test/fuzz/found, which every run begins with.

FUZZ_SECONDS ?= 3600
FUZZ_SEED    ?= 0
FUZZ_CORPUS  ?= build/fuzz/corpus
FUZZ_TARGETS := $(patsubst test/fuzz/%_fuzz.c,%,$(wildcard test/fuzz/*_fuzz.c))
C_OBJ_FUZZ := $(filter-out $(OBJ)/os/linux/main.o,$(HOSTED_OBJ)) $(DEP_OBJ)

build/fuzz/%: test/fuzz/%_fuzz.c $(C_OBJ_FUZZ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)
# Images are read by the tools, not by the VM.
build/fuzz/image: test/fuzz/image_fuzz.c tender/elfimage.c tool/view.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Itender -Itool -fsanitize=fuzzer,address,undefined -o $@ $^
# The stack of an instance, in the hosted VM; nothing looks at checksums. (Fragments
# that wait for others hang on pointers that are not aligned: they look lost.)
FUZZ_LWIP := $(patsubst %.c,build/fuzz/lwip/%.o,$(LWIP_SRC))
FUZZ_NET := $(patsubst src/%.c,build/fuzz/%.o,$(wildcard src/net/lwip/*.c))
FUZZ_NO_SUMS := $(foreach p,IP UDP TCP ICMP ICMP6,-DCHECKSUM_CHECK_$(p)=0)
build/fuzz/lwip/%.o: $(LWIP_DIR)/%.c src/net/lwip/lwipopts.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LWIP_CFLAGS) $(FUZZ_NO_SUMS) -c -o $@ $<
build/fuzz/net/lwip/%.o: src/net/lwip/%.c src/net/lwip/lwipopts.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LWIP_INC) $(FUZZ_NO_SUMS) -Dnet_ops=lwip_net_ops -c -o $@ $<
build/fuzz/frame: test/fuzz/frame_fuzz.c $(FUZZ_NET) $(FUZZ_LWIP) $(C_OBJ_FUZZ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined \
	    -o $@ $^ $(LDLIBS)
# The switch, but for its loop.
build/fuzz/ring: test/fuzz/ring_fuzz.c $(addprefix tool/switch_,port.c gateway.c forward.c names.c uplink.c) \
        build/fuzz/net/lwip/ticks.o $(FUZZ_LWIP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LWIP_INC) -Itool -fsanitize=fuzzer,address,undefined -o $@ $^
build/fuzz/image_seed: test/fuzz/image_seed.c include/abi/image.h include/abi/guest.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $<
fuzz-run: $(addprefix build/fuzz/,$(FUZZ_TARGETS)) build/fuzz/seeds/.done
	@set -e; for t in $(FUZZ_TARGETS); do mkdir -p $(FUZZ_CORPUS)-$$t; \
	    case $$t in frame) export ASAN_OPTIONS=detect_leaks=0;; *) unset ASAN_OPTIONS;; esac; \
	    for f in test/fuzz/found/$$t/*; do [ ! -e $$f ] || build/fuzz/$$t $$f; done; \
	    build/fuzz/$$t -seed=$(FUZZ_SEED) -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 \
	    -artifact_prefix=build/fuzz/ -print_final_stats=1 \
	    $(FUZZ_CORPUS)-$$t $$(ls -d build/fuzz/seeds/$$t 2>/dev/null) > build/fuzz/$$t.log 2>&1 || \
	    { grep -v '^#' build/fuzz/$$t.log; exit 1; }; \
	    sed -n "s/^Done/fuzz $$t: done/p" build/fuzz/$$t.log; done
build/fuzz/seeds/.done: test/fuzz/seeds.escript build/fuzz/image_seed $(T_BEAM)
	@mkdir -p build/fuzz/seeds/beam build/fuzz/seeds/ext build/fuzz/seeds/image
	build/fuzz/image_seed > build/fuzz/seeds/image/smallest
	@cp $(T_BEAM) build/fuzz/seeds/beam
	escript test/fuzz/seeds.escript build/fuzz/seeds/ext
	@touch $@
## fuzz        fuzz the parsers of strangers' bytes, an hour each
fuzz:
	$(MAKE) FUZZ=1 fuzz-run
check-fuzz:
	rm -rf build/fuzz/check-*
	$(MAKE) FUZZ=1 FUZZ_SECONDS=20 FUZZ_SEED=1 FUZZ_CORPUS=build/fuzz/check fuzz-run
.PHONY: fuzz fuzz-run check-fuzz
