/*
 * wx_test.c - no page of the code window is both written and run, by whatever
 * way this process can name it; and what does not fit the window or the processor
 * is refused.
 */
#include "t.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "op/code.h"
#include "op/codemem.h"
#include "op/native.h"
#include "vm/boot.h"

enum { CODE_BYTES = 4096 };
static const uint8_t return_42[] = {0xb8, 42, 0, 0, 0, 0xc3};  /* mov $42, %eax; ret */

/* The signal that doing it ends a process with; 0: none. */
static int signal_of(void (*attack)(void *), void *at)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        attack(at);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
static void write_to(void *at) { *(volatile uint8_t *)at = 0xc3; }
static void run(void *at) { ((int (*)(void))(uintptr_t)at)(); }

static void views_are_apart(void **state)
{
    uint8_t *code = codemem_alloc(CODE_BYTES), *write;

    assert_non_null(code);
    write = codemem_rw(code);
    assert_ptr_not_equal(code, write);
    memcpy(write, return_42, sizeof return_42);
    codemem_written();
    assert_int_equal(((int (*)(void))(uintptr_t)code)(), 42);
    assert_int_equal(signal_of(write_to, code), SIGSEGV);
    assert_int_equal(signal_of(run, write), SIGSEGV);
    codemem_free(code, CODE_BYTES);
}

static void no_mapping_is_both(void **state)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[4096], access[5];
    int views = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        assert_int_equal(sscanf(line, "%*x-%*x %4s", access), 1);
        assert_false(access[1] == 'w' && access[2] == 'x');
        views += strstr(line, "/dev/zero") != NULL;
    }
    fclose(f);
    assert_int_equal(views, 2);
}

/* The kernel writes through what is not writable only where it can copy: not here. */
static void proc_mem_cannot_write(void **state)
{
    uint8_t *code = codemem_alloc(CODE_BYTES), before = *code;
    int fd = open("/proc/self/mem", O_RDWR);

    if (fd >= 0) {
        assert_int_equal(pwrite(fd, return_42, sizeof return_42, (off_t)(uintptr_t)code), -1);
        close(fd);
    }
    assert_int_equal(*code, before);
    codemem_free(code, CODE_BYTES);
}

/* The file behind the window has no descriptor left to map it by again. */
static void no_descriptor_is_left(void **state)
{
    char path[64], to[4096];

    for (int fd = 0; fd < 1024; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, to, sizeof to - 1);
        if (n < 0)
            continue;
        to[n] = '\0';
        assert_null(strstr(to, "/dev/zero"));
    }
}

static uint8_t *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 24);

    assert_non_null(f);
    *n = fread(bytes, 1, 1 << 24, f);
    fclose(f);
    return bytes;
}

/* A module that does not fit is refused with a reason. Last: the window stays full. */
static void full_window_refuses(void **state)
{
    size_t n, size = (size_t)256 << 20;
    uint8_t *beam = read_file("build/test/test.beam", &n);
    char why[256];

    while (size >= 16)
        if (!codemem_alloc(size))
            size /= 2;
    assert_null(code_prepare(beam, n, why));
    assert_string_equal(why, "the window for code is full");
    free(beam);
}

static void other_processors_code_is_refused(void **state)
{
    assert_null(native_fits("x86-64"));
    assert_non_null(strstr(native_fits("aarch64"), "level aarch64"));
}

static int setup(void **state)
{
    boot_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_apart),
        cmocka_unit_test(no_mapping_is_both),
        cmocka_unit_test(proc_mem_cannot_write),
        cmocka_unit_test(no_descriptor_is_left),
        cmocka_unit_test(other_processors_code_is_refused),
        cmocka_unit_test(full_window_refuses),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
