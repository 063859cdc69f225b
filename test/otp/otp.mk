# OTP's own test suites (test/otp/README.md).

OTP_OUT   := build/otp
OTP_JOBS  ?= 2
OTP_RUN   := $(PYTHON) test/otp/run.py --root $(OTP_OUT) --jobs $(OTP_JOBS) --scale 3
OTP_L     := --level L2 --level L3 --level L4
OTP_STOCK := erl +S 1:1 +SDcpu 1:1
# What make check runs: suites, one a line.
OTP_CHECK := $(shell grep -v "^\#" test/otp/check.txt)

$(OTP_OUT)/ready: $(READY) test/otp/prepare.py $(wildcard test/otp/*/*.erl)
	@mkdir -p $(OTP_OUT)/ebin/nopeer
	$(Q)$(PYTHON) test/otp/prepare.py $(OTPSRC) $(OTP_OUT)
	@erlc -W0 -o $(OTP_OUT)/ebin test/otp/ct/*.erl
	@erlc -W0 -o $(OTP_OUT)/ebin/nopeer test/otp/nopeer/*.erl
	@touch $@

## otp         OTP's own suites on stock OTP and ling, native and not; writes doc/conformance.md
otp: $(LING) $(OTP_OUT)/stock/suites.tsv
	@rm -rf $(OTP_OUT)/ling $(OTP_OUT)/interpreted
	$(OTP_RUN) --out $(OTP_OUT)/ling --vm $(abspath $(LING)) $(OTP_L)
	$(OTP_RUN) --out $(OTP_OUT)/interpreted --vm "$(abspath $(LING)) +JIT false" $(OTP_L)
	test/otp/report.py table $(OTP_OUT)/stock $(OTP_OUT)/ling $(OTP_OUT)/interpreted > doc/conformance.md
	@sed -n '/^| level/,/^$$/p' doc/conformance.md | head -8

# Stock OTP runs once; remove build/otp/stock to have it run again.
$(OTP_OUT)/stock/suites.tsv: | $(OTP_OUT)/ready
	@rm -rf $(OTP_OUT)/stock.part
	$(OTP_RUN) --out $(OTP_OUT)/stock.part --vm "$(OTP_STOCK)" $(OTP_L)
	mv $(OTP_OUT)/stock.part $(OTP_OUT)/stock
	test/otp/report.py not-on-stock $(OTP_OUT)/stock > test/otp/not_on_stock.txt

# The language's suites in an image: those that need no other OS process.
OTP_ON    ?= $(if $(wildcard /dev/kvm),kvm,process)
OTP_APPS  := compiler syntax_tools crypto common_test os_mon runtime_tools
OTP_DIRS  := ebin compiler_test emulator_test
$(OTP_OUT)/suites.img: $(OTP_OUT)/ready bin/kindling bin/tender bin/ling.elf bin/kindling.beam
	bin/kindling build -q --plain --vm-args test/otp/image.args -o $@ $(addprefix --app ,$(OTP_APPS)) \
	    $(foreach d,$(OTP_DIRS),--file /t/$(d)=$(OTP_OUT)/$(d)) --eval \
	    'code:add_paths(["/t/" ++ D || D <- string:lexemes("$(OTP_DIRS)", " ")]), $(strip \
	    ) mini_ct:run([list_to_atom(A) || A <- init:get_plain_arguments()]).'

## otp-image   the language suites of OTP in an image (OTP_ON=kvm, qemu or process);
##             writes doc/conformance-image.md
otp-image: kindling $(OTP_OUT)/suites.img
	@rm -rf $(OTP_OUT)/image
	$(OTP_RUN) --out $(OTP_OUT)/image --vm "$(abspath test/otp/image.sh) $(OTP_ON) $(abspath $(OTP_OUT)/suites.img)" \
	    --level L2
	test/otp/report.py image $(OTP_OUT)/image > doc/conformance-image.md
.PHONY: otp-image

check-otp: $(LING) $(OTP_OUT)/ready
	@rm -rf $(OTP_OUT)/check
	$(OTP_RUN) --out $(OTP_OUT)/check --vm $(abspath $(LING)) $(OTP_CHECK)
	test/otp/report.py check $(OTP_OUT)/check $(OTP_CHECK)

.PHONY: otp check-otp
