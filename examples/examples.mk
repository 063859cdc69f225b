# The examples, compiled by the stock erlc: build/examples/NAME/{ebin,priv}.

EX      := build/examples
OTPLIB  := $(shell erl -noshell -eval 'io:put_chars(code:lib_dir()), halt().' 2>/dev/null)

examples: $(EX)/hello/.done $(EX)/compile/.done $(EX)/web/.done

$(EX)/%/.done: examples/%/src/*.erl examples/%/src/*.app.src
	@mkdir -p $(EX)/$*/ebin
	erlc +deterministic -o $(EX)/$*/ebin $(filter %.erl,$^)
	for a in $(filter %.app.src,$^); do cp $$a $(EX)/$*/ebin/$$(basename $$a .src); done
	$(EX_$*)
	@touch $@

# The sources of stdlib go along, as data.
EX_compile = rm -rf $(EX)/compile/priv && mkdir -p $(EX)/compile/priv/stdlib $(EX)/compile/priv/kernel && \
	cp -rL $(OTPLIB)/stdlib-*/src $(OTPLIB)/stdlib-*/include $(EX)/compile/priv/stdlib/ && \
	cp -rL $(OTPLIB)/kernel-*/include $(EX)/compile/priv/kernel/

.PHONY: examples
