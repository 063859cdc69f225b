# Measurements.

## bench       programs timed beside stock erl, in turns; boot times of hello.img
B_OUT  := build/bench
B_BEAM := $(patsubst bench/erl/%.erl,$(B_OUT)/%.beam,$(wildcard bench/erl/*.erl))
$(B_OUT)/%.beam: bench/erl/%.erl
	@mkdir -p $(@D)
	$(Q)erlc -o $(@D) $<
bench: bench-code bench-boot
## bench-code  ... only the programs (BENCH="--only fib,tak --rounds 9")
bench-code: $(LING) $(B_BEAM)
	bench/run.py $(BENCH) $(B_OUT)
## bench-image ... the ten in an image under KVM, in turns with bin/ling
B_TEN := fib,nrev,tak,trees,funs,tuples,nbody,bytes,utf8,gcd
B_EVAL := code:add_path("/bench"), \
    bench:main([list_to_atom(A) || A <- init:get_plain_arguments()]), halt().
$(B_OUT).img: $(B_BEAM) bin/kindling bin/tender bin/ling.elf bin/kindling.beam
	bin/kindling build -q -o $@ --file /bench=$(B_OUT) --mem 1G --eval '$(B_EVAL)'
bench-image: $(LING) $(B_OUT).img
	bench/run.py --image $(B_OUT).img --repeat 20 --rounds 3 --only $(B_TEN) \
	    --out build/bench-image.csv $(BENCH) $(B_OUT)
.PHONY: bench-image
## bench-load  loading kernel, stdlib and compiler: CPU, bytes of code and tables
$(B_OUT)/bench_load.beam: bench/load/bench_load.erl
	@mkdir -p $(@D)
	$(Q)erlc -o $(@D) $<
bench-load: $(LING) $(B_OUT)/bench_load.beam
	bench/load.py $(B_OUT)
.PHONY: bench-load
## bench-late  how late a ticking process is beside long work (LATE="--mb 64 --rounds 3")
$(B_OUT)/late.beam: bench/late/late.erl
	@mkdir -p $(@D)
	$(Q)erlc -o $(@D) $<
bench-late: $(LING) $(B_OUT)/late.beam
	bench/late.py $(LATE) $(B_OUT)
.PHONY: bench-late
## flame       build/flame.svg: where examples/compile spends its time
flame: $(LING) examples
	$(LING) -noshell -pa $(EX)/compile/ebin \
	    -eval 'compile_stdlib:profile("build/flame.svg").' > build/flame.out
	@ls -l build/flame.svg
.PHONY: flame
## bench-boot  ... only the boot times
bench-boot: kindling examples
	bin/kindling build -q -o build/hello.img --run hello_app run $(EX)/hello
	bench/boot.sh build/hello.img
## bench-idle  CPU of an idle shell in every mode
bench-idle: kindling examples
	bin/kindling build -q -o build/shell.img --shell $(EX)/compile
	bench/idle.sh build/shell.img
## bench-net   HTTP requests a second of examples/web, a stream, beside stock erl; first pages
$(B_OUT)/http: bench/http.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 $(WARN) -o $@ $<
WEB_ERL := erl -noshell -pa $(EX)/web/ebin -web port {port} -web address '{127,0,0,1}' \
    -run web_app run
$(B_OUT)/stream/bench_stream.beam: bench/net/bench_stream.erl
	@mkdir -p $(@D)
	$(Q)erlc -o $(@D) $<
bench-net: $(LING) $(B_OUT)/http $(B_OUT)/stream/bench_stream.beam examples kindling
	bin/kindling build -q -o build/web.img --run web_app run $(EX)/web
	bin/kindling bake --ready app -o build/web.baked.img build/web.img
	bench/net.sh $(B_OUT)/http $(EX)/web/ebin build/web.img
	bench/stream.sh $(B_OUT)/stream
	bin/kindling bench --http 8080 --beside "$(WEB_ERL)" build/web.img build/web.baked.img
	bin/kindling bench --http 8080 -n 20 --on process build/web.img build/web.baked.img
## bench-burst a hundred copies of a baked web server: from a pool, from nothing, for 10 s
bench-burst: examples kindling
	bin/kindling build -q -o build/web.img --run web_app run $(EX)/web
	bin/kindling bake --ready app -o build/web.baked.img build/web.img
	bin/kindling burst --http 8080 100 build/web.baked.img
	bin/kindling burst --http 8080 --cold 100 build/web.baked.img
	bin/kindling burst --http 8080 --seconds 10 4 build/web.baked.img
.PHONY: bench-burst
.PHONY: bench-net bench bench-code bench-boot bench-idle
