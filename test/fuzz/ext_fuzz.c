/*
 * ext_fuzz.c - the decoder of external terms takes any bytes. What it accepts
 * can be encoded, decoded again, and is equal.
 */
#include "vm/boot.h"
#include "vm/ext.h"
#include "vm/ops.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    boot_init();
    return 0;
}

static term decode(const uint8_t *data, size_t n, struct mbuf **m)
{
    size_t words;

    if (ext_size(data, n, EXT_SAFE, &words) < 0)
        return THE_NON_VALUE;
    *m = mbuf_new(words + 1);
    struct dest d = {(*m)->words, &(*m)->off};
    term t = ext_decode(&d, data, n, EXT_SAFE);
    (*m)->used = (size_t)(d.htop - (*m)->words);
    if ((*m)->used > words)
        vm_bug("a term took %zu words, %zu were counted", (*m)->used, words);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mbuf *m = NULL, *m2 = NULL;
    term t = decode(data, n, &m);

    if (t != THE_NON_VALUE) {
        size_t size = ext_encode_size(t, 0);
        uint8_t *out = vm_alloc(ALLOC_SYSTEM, size + 1);

        if (ext_encode(t, out, 0) != out + size)
            vm_bug("an encoded term is not as long as was counted");
        term again = decode(out, size, &m2);
        if (again == THE_NON_VALUE || !term_eq(t, again))
            vm_bug("a term changed when it was encoded and decoded");
        vm_free(out);
    }
    if (m)
        mbuf_free(m);
    if (m2)
        mbuf_free(m2);
    return 0;
}
