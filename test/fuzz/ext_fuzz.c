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
        struct ext_buf out;

        ext_buf_init(&out);
        if (!ext_encode(&out, t, 0) || out.n != ext_encode_size(t, 0))
            vm_bug("an encoded term is not as long as was counted");
        term again = decode(out.data, out.n, &m2);
        if (again == THE_NON_VALUE || !term_eq(t, again))
            vm_bug("a term changed when it was encoded and decoded");
        ext_buf_fini(&out);
    }
    if (m)
        mbuf_free(m);
    if (m2)
        mbuf_free(m2);
    return 0;
}
