# C tests (cmocka): all of the VM's objects but main, under whatever MODE is.
C_OBJ   := $(filter-out $(OBJ)/os/linux/main.o,$(HOSTED_OBJ)) $(DEP_OBJ)
C_TESTS := $(patsubst test/c/%_test.c,build/test/%_test-$(MODE),$(wildcard test/c/*_test.c))

build/test/%_test-$(MODE): test/c/%_test.c test/c/t.c test/c/t.h $(C_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS_$(MODE)) -Itest/c -o $@ $< test/c/t.c $(C_OBJ) -lcmocka $(LDLIBS)

## check-c     the tests in C (with DEBUG=1: asserts)
check-c: $(T_OUT)/test.beam $(C_TESTS)
	@set -e; for t in $(C_TESTS); do echo $$t; $$t; done

.PHONY: check-c
