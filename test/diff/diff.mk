# Random programs: the same on stock OTP and on ling.

D_OUT  := build/diff
D_BEAM := $(patsubst test/diff/%.erl,$(D_OUT)/%.beam,$(wildcard test/diff/*.erl))
# Another seed, other programs: make diff SEED=2 COUNT=1000.
SEED   ?= 1
COUNT  ?= 10000
$(D_OUT)/%.beam: test/diff/%.erl
	@mkdir -p $(@D)
	$(Q)erlc -o $(@D) $<

check-diff: $(LING) $(D_BEAM)
	test/diff/run.sh $(D_OUT) $(SEED) 200 $(LING) "$(LING) +JIT false"
## diff        10,000 random programs as on stock erl, also collecting all the time
diff: $(LING) $(D_BEAM)
	$(MAKE) STRESS=1 bin/ling-stress
	test/diff/run.sh $(D_OUT) $(SEED) $(COUNT) $(LING) "$(LING) +JIT false" \
	    bin/ling-stress "bin/ling-stress +JIT false"
.PHONY: check-diff diff
