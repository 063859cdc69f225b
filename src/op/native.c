/*
 * native.c - from records of instructions to machine code, by copying stencils.
 *
 * Two passes: the first gives each record its place, the second copies and
 * fills in. Hot parts lie one after the other in the order of the module, the
 * cold parts behind them, then the words of jump tables.
 */
#include "op/native.h"

#include <stdio.h>

#include "op/codemem.h"
#include "op/stencil.h"
#include "os/os.h"
#include "vm/vm.h"

#define NO_STENCIL 0xffff
#define IMM31_MAX 0x7fffffffu

static uint32_t header_stencil(uintptr_t h) { return (uint32_t)(h & 0xffff); }
static uint32_t header_back(uintptr_t h) { return (uint32_t)(h >> 16 & 0xff); }
static uint32_t header_length(uintptr_t h) { return (uint32_t)(h >> 24 & 0xff); }
static uint32_t header_vary(uintptr_t h) { return (uint32_t)(h >> 32); }
/* From a record to the next one. */
static uint32_t record_words(uintptr_t h) { return header_length(h) + header_vary(h); }

static uint32_t find(uint32_t op, uint32_t kinds)
{
    uint64_t h = ((uint64_t)op << 32 | kinds) * 0x9e3779b97f4a7c15ull;
    uint32_t mask = (1u << stencil_table_bits) - 1;

    for (uint32_t i = (uint32_t)(h >> (64 - stencil_table_bits));; i++) {
        const struct stencil_slot *s = &stencil_table[i & mask];

        if (s->stencil == NO_STENCIL || (s->op == op && s->kinds == kinds))
            return s->stencil;
    }
}

const char *native_fits(const char *cpu)
{
    static char why[96];

    if (os_cpu_has(cpu))
        return NULL;
    snprintf(why, sizeof why, "this ling makes it for processors of level %s, which "
             "this one is not", cpu);
    return why;
}

const char *native_init(void)
{
    const char *why = native_fits(stencil_cpu);

    return why ? why : codemem_init();
}

/* ---- records ---- */

static void word(struct loader *l, uintptr_t w)
{
    if (l->nwords == l->words_size)
        l->words = load_grow(l->words, &l->words_size, l->nwords + 1, sizeof *l->words);
    l->words[l->nwords++] = w;
}

/* The record that begins at word `at` is whole. */
static void record_end(struct loader *l, uint32_t at)
{
    assert(l->nwords - at <= 0xff);
    l->words[at] |= (uintptr_t)(l->nwords - at) << 24;
}

static bool is_register(uint8_t kind) { return kind <= KIND_X5; }

/* move between a place and word i of S->operand. */
static void move_operand(struct loader *l, unsigned i, enum kind kind, uintptr_t w,
                         bool to_memory)
{
    uintptr_t slot = offsetof(struct sched, operand) + i * sizeof(term);
    uint32_t kinds = to_memory ? (uint32_t)(kind | KIND_X << 4)
                               : (uint32_t)(KIND_X | kind << 4);
    uint32_t record = l->nwords;

    word(l, find(OP_move, kinds));
    if (!to_memory)
        word(l, slot);
    if (!is_register((uint8_t)kind))
        word(l, w);
    if (to_memory)
        word(l, slot);
    record_end(l, record);
}

/* The operands as the stencil takes them; memory: places are in S->operand. */
static void operands(struct loader *l, bool memory)
{
    for (uint32_t i = 0, place = 0; i < l->op_nwords; i++) {
        uint8_t is = l->op_is[i];
        uintptr_t w = l->op_words[i];

        if (is == OPERAND_LABEL) {
            emit_label_word(l, (uint32_t)w);
        } else if (is == OPERAND_WORD) {
            word(l, w);
        } else if (memory) {
            word(l, offsetof(struct sched, operand) + place++ * sizeof(term));
        } else if (!is_register(is)) {
            word(l, w);
        }
    }
}

/* Every constant word fits the stencil's 31 bits. */
static bool words_fit(struct loader *l)
{
    const char *roles = op_infos[l->op].roles;

    for (uint32_t i = 0; i < l->op_nwords; i++)
        if (roles[i] != 'p' && l->op_is[i] == OPERAND_WORD && l->op_words[i] > IMM31_MAX)
            return false;
    return true;
}

bool native_end(struct loader *l)
{
    const char *roles = op_infos[l->op].roles;
    uint32_t n = words_fit(l) ? find(l->op, l->op_kinds) : NO_STENCIL;
    uint32_t first = l->nwords, memory = 0, place = 0;

    l->last_record = first;
    if (n != NO_STENCIL) {
        word(l, n);
        operands(l, false);
        record_end(l, first);
        return true;
    }
    for (uint32_t i = 0; i < l->op_places; i++)
        memory |= (uint32_t)KIND_X << 4 * i;
    n = find(l->op, memory);
    assert(n != NO_STENCIL);
    if (l->op_places == 0)
        return load_fail(l, "an operand of %s is too large", op_infos[l->op].name);
    for (uint32_t i = 0; i < l->op_nwords; i++)
        if (strchr("sdr", roles[i])) {
            if (roles[i] != 'd')
                move_operand(l, place, (enum kind)l->op_is[i], l->op_words[i], true);
            place++;
        }
    l->last_record = l->nwords;
    word(l, n | (uintptr_t)(l->nwords - first) << 16);
    operands(l, true);
    record_end(l, l->last_record);
    place = 0;
    for (uint32_t i = 0; i < l->op_nwords; i++)
        if (strchr("sdr", roles[i])) {
            if (roles[i] != 's')
                move_operand(l, place, (enum kind)l->op_is[i], l->op_words[i], false);
            place++;
        }
    return true;
}

/* ---- the first pass ---- */

struct layout {
    uint32_t hot, cold, vary;   /* bytes */
};

static uint32_t align16(uint32_t n) { return (n + 15) & ~15u; }

/* l->offset[word of a header]: where its hot part begins, bytes. */
static bool place_records(struct loader *l, struct layout *total)
{
    uint64_t hot = 0, cold = 0, vary = 0;

    l->offset = vm_try_alloc(ALLOC_CODE, (l->nwords + 1) * sizeof *l->offset);
    if (!l->offset)
        return load_fail(l, "there is no memory to translate it");
    for (uint32_t i = 0; i < l->nwords;) {
        const struct stencil *s = &stencils[header_stencil(l->words[i])];
        uint8_t flags = op_infos[s->op].flags;

        if (flags & OPF_RET)        /* so that it ends at a multiple of 16 */
            hot = ((hot + s->hot + 15) & ~(uint64_t)15) - s->hot;
        if (s->op == OP_func_entry || s->op == OP_func_entry_nif)
            hot = (hot + 31) & ~(uint64_t)31;
        l->offset[i] = (uint32_t)hot;
        hot += s->hot;
        cold += s->cold;
        vary += header_vary(l->words[i]);
        i += record_words(l->words[i]);
        if (hot + cold + 8 * vary > UINT32_MAX / 2)
            return load_fail(l, "its code is larger than 2 GB");
    }
    l->offset[l->nwords] = (uint32_t)hot;
    *total = (struct layout){align16((uint32_t)hot), align16((uint32_t)cold),
                             (uint32_t)vary * 8};
    return true;
}

/* ---- the second pass ---- */

/* No-ops of n bytes, as few instructions as can be. */
static void fill_nops(uint8_t *at, uint32_t n)
{
    static const uint8_t nops[][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (n > 0) {
        uint32_t k = n > 9 ? 9 : n;

        memcpy(at, nops[k - 1], k);
        at += k;
        n -= k;
    }
}

bool native_falls_to(code_ptr from, code_ptr to)
{
    uint32_t n = (uint32_t)((const uint8_t *)to - (const uint8_t *)from);
    uint8_t nops[32];

    if ((uintptr_t)to - (uintptr_t)from >= sizeof nops)
        return false;
    fill_nops(nops, n);
    return memcmp(nops, from, n) == 0;
}

struct copy {
    uint8_t *run, *write;       /* the whole code, as it runs and as it is written */
    uint32_t cold, vary;        /* next place, bytes */
    uint32_t hot_end, cold_end;
};

/*
 * n bytes, of a part that ends at `end`. Most are a few dozen: whole 16 bytes are
 * copied, and what is too much is written over by the next record. The table of
 * stencils has STENCIL_SLACK bytes behind it.
 */
static void copy_part(uint8_t *write, uint32_t at, uint32_t end, const uint8_t *from,
                      uint32_t n)
{
    typedef long long sixteen
        __attribute__((vector_size(16), aligned(1), may_alias));

    if (at + n + STENCIL_SLACK > end) {
        memcpy(write + at, from, n);
        return;
    }
    for (uint32_t i = 0; i < n; i += 16) {
        sixteen bytes = *(const sixteen *)(from + i);

        __asm__("" : "+x"(bytes));      /* or the loop becomes a call of memcpy */
        *(sixteen *)(write + at + i) = bytes;
    }
}

static void put32(uint8_t *at, int64_t v)
{
    int32_t w = (int32_t)v;

    assert(v == w);
    memcpy(at, &w, sizeof w);
}

static void copy_record(struct loader *l, struct copy *c, uint32_t i)
{
    uintptr_t header = l->words[i];
    const struct stencil *s = &stencils[header_stencil(header)];
    const uintptr_t *words = l->words + i;
    uint32_t hot = l->offset[i], self = l->offset[i - header_back(header)];
    uint32_t part[2] = {hot, c->cold}, vary = c->vary;

    copy_part(c->write, hot, c->hot_end, stencil_bytes + s->at, s->hot);
    copy_part(c->write, c->cold, c->cold_end, stencil_bytes + s->at + s->hot, s->cold);
    for (uint32_t k = 0; k < s->relocs; k++) {
        const struct stencil_reloc *r = &stencil_relocs[s->reloc + k];
        uint32_t at = part[r->cold] + r->offset;
        uintptr_t to;

        switch (r->to) {
        case TO_NEXT: case TO_RET: to = (uintptr_t)c->run + hot + s->hot; break;
        case TO_SELF: to = (uintptr_t)c->run + self; break;
        case TO_VARY: to = (uintptr_t)c->run + vary; break;
        case TO_HOT: to = (uintptr_t)c->run + hot; break;
        case TO_COLD: to = (uintptr_t)c->run + c->cold; break;
        default:
            to = r->to >= TO_RUNTIME ? (uintptr_t)stencil_runtime[r->to - TO_RUNTIME]
                                     : words[r->to];
            if (r->kind == REL_PC32 && to == 0)
                continue;       /* a jump to no label: never taken */
        }
        to += (uintptr_t)(intptr_t)r->addend;
        switch ((enum stencil_reloc_kind)r->kind) {
        case REL_ABS64: memcpy(c->write + at, &to, sizeof to); break;
        case REL_ABS32: put32(c->write + at, (int64_t)to); break;
        case REL_PC32:
            put32(c->write + at, (int64_t)(to - ((uintptr_t)c->run + at)));
            break;
        }
    }
    c->cold += s->cold;
    for (uint32_t k = 0; k < header_vary(header); k++, c->vary += 8)
        memcpy(c->write + c->vary, &words[header_length(header) + k], 8);
}

/*
 * The stencils of a module are all over the tables, and waiting for each in turn is
 * most of copying: ask for them some records ahead, for their descriptions first.
 */
#define AHEAD 8
struct ahead {
    uint32_t at;                /* record, word */
    const struct stencil *asked[AHEAD];     /* a ring; NULL: none */
    uint32_t n;
};
static void fetch_ahead(const struct loader *l, struct ahead *a)
{
    do {
        const struct stencil **slot = &a->asked[a->n % AHEAD], *due;

        *slot = NULL;
        if (a->at < l->nwords) {
            *slot = &stencils[header_stencil(l->words[a->at])];
            __builtin_prefetch(*slot);
            a->at += record_words(l->words[a->at]);
        }
        due = a->asked[(a->n + AHEAD / 2) % AHEAD];
        if (due) {
            __builtin_prefetch(stencil_bytes + due->at);
            __builtin_prefetch(stencil_bytes + due->at + due->hot);
            __builtin_prefetch(stencil_relocs + due->reloc);
        }
    } while (++a->n < AHEAD);
}

bool native_finish(struct loader *l)
{
    struct code *code = l->code;
    struct layout size;
    struct copy c;
    struct ahead ahead = {0};

    if (!place_records(l, &size))
        return false;
    code->bytes = (size_t)size.hot + size.cold + size.vary;
    c.run = codemem_alloc(code->bytes);
    if (!c.run) {
        code->bytes = 0;
        return load_fail(l, "the window for code is full");
    }
    code->base = (uintptr_t *)c.run;
    code->cold_at = size.hot;
    code->cold_bytes = size.cold;
    code->native = true;
    if (!emit_resolve(l)) {
        codemem_free(c.run, code->bytes);
        code->base = NULL;
        return false;
    }
    c.write = codemem_rw(c.run);
    c.cold = size.hot;
    c.vary = c.cold_end = size.hot + size.cold;
    c.hot_end = size.hot;
    for (uint32_t i = 0, end = 0; i < l->nwords;) {
        const struct stencil *s = &stencils[header_stencil(l->words[i])];

        fetch_ahead(l, &ahead);
        fill_nops(c.write + end, l->offset[i] - end);
        end = l->offset[i] + s->hot;
        copy_record(l, &c, i);
        i += record_words(l->words[i]);
    }
    codemem_written();
    return true;
}

/* ---- stubs ---- */

#define STUB_BYTES 32

/* mov %rax, offset(%r12) */
static uint8_t *put_store_rax(uint8_t *at, size_t offset)
{
    static const uint8_t store_rax[] = {0x49, 0x89, 0x44, 0x24};

    assert(offset < 128);
    memcpy(at, store_rax, 4);
    at[4] = (uint8_t)offset;
    return at + 5;
}

static void put_jump(uint8_t *write, const uint8_t *run, const void *to)
{
    write[0] = 0xe9;
    put32(write + 1, (int64_t)((uintptr_t)to - ((uintptr_t)run + 5)));
}

#define STUB_SLAB 4096

/*
 * Stubs come and go by the thousand while modules load: from slabs, and a list
 * of those given back, each of which leads to the next. What was sealed with an
 * image is neither used nor given back.
 */
static uint8_t *stub_free, *stub_slab;
static size_t stub_left;        /* bytes of the slab */

static uint8_t *stub_alloc(void)
{
    uint8_t *run = stub_free;

    if (run && codemem_writable(run)) {
        memcpy(&stub_free, run, sizeof stub_free);
        return run;
    }
    stub_free = NULL;
    if (stub_left == 0 || !codemem_writable(stub_slab)) {
        stub_slab = codemem_alloc(STUB_SLAB);
        stub_left = stub_slab ? STUB_SLAB : 0;
        if (!stub_slab)
            return NULL;
    }
    run = stub_slab;
    stub_slab += STUB_BYTES;
    stub_left -= STUB_BYTES;
    return run;
}

void native_stub_free(code_ptr stub)
{
    uint8_t *run = (uint8_t *)stub;

    if (!codemem_writable(run))
        return;
    memcpy(codemem_rw(run), &stub_free, sizeof stub_free);
    stub_free = run;
}

code_ptr native_stub(const void *what, code_ptr self, const void *to)
{
    uint8_t *run = stub_alloc(), *write, *at;

    if (!run)
        return NULL;
    write = codemem_rw(run);
    memcpy(write, "\x48\xb8", 2);       /* movabs $what, %rax */
    memcpy(write + 2, &what, 8);
    at = put_store_rax(write + 10, offsetof(struct sched, a));
    memcpy(at, "\x48\x8d\x05", 3);      /* lea self(%rip), %rax */
    put32(at + 3, (int64_t)((uintptr_t)(self ? self : (code_ptr)run) -
                            ((uintptr_t)run + (uintptr_t)(at + 7 - write))));
    at = put_store_rax(at + 7, offsetof(struct sched, self));
    put_jump(at, run + (at - write), to);
    codemem_written();
    return (code_ptr)run;
}

const void *native_stub_what(code_ptr s)
{
    const void *what;

    memcpy(&what, (const char *)s + 2, sizeof what);    /* see native_stub */
    return what;
}

void native_patch_jump(code_ptr entry, code_ptr to)
{
    put_jump(codemem_rw(entry), (const uint8_t *)entry, to);
    codemem_written();
}

void native_patch_back(code_ptr entry, const void *bytes)
{
    memcpy(codemem_rw(entry), bytes, NATIVE_JUMP_BYTES);
    codemem_written();
}

uint32_t native_entry_bytes(const struct code *c)
{
    return stencils[find(c->nif_slots ? OP_func_entry_nif : OP_func_entry, 0)].hot;
}

/* ---- entering ---- */

/*
 * Stencils run with rsp a multiple of 16, which a called function has not; and
 * they use rbp. r11 is the eleventh argument.
 */
__attribute__((preserve_none)) long t1_call(struct sched *S, term *H, term *E, int64_t FC,
                                            term x0, term x1, term x2, term x3, term x4,
                                            term x5, code_ptr to);
__asm__(".text\n"
        ".globl t1_call\n"
        ".type t1_call, @function\n"
        "t1_call:\n"
        "    pushq %rbp\n"
        "    subq $8, %rsp\n"
        "    call *%r11\n"
        "    addq $8, %rsp\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size t1_call, . - t1_call\n");

enum run_end native_run(struct sched *S, code_ptr pc)
{
    struct proc *p = S->p;
    term *x = S->x;

    return (enum run_end)t1_call(S, p->heap.htop, p->heap.stop, p->reds_left, x[0],
                                 x[1], x[2], x[3], x[4], x[5], pc);
}
