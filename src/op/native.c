/*
 * native.c - from records of instructions to machine code, by copying stencils.
 *
 * Each record gets its place when it is made; when all are, they are copied and
 * filled in. Hot parts lie one after the other in the order of the module, the
 * cold parts behind them, then the words of jump tables.
 */
#include "op/native.h"

#include <stdio.h>

#include "op/codemem.h"
#include "op/stencil.h"
#include "os/os.h"
#include "vm/vm.h"

#define NO_STENCIL 0xffff

static uint32_t header_stencil(uintptr_t h) { return (uint32_t)(h & 0xffff); }
static uint32_t header_back(uintptr_t h) { return (uint32_t)(h >> 16 & 0xff); }
static uint32_t header_length(uintptr_t h) { return (uint32_t)(h >> 24 & 0xff); }
static uint32_t header_hot(uintptr_t h) { return (uint32_t)(h >> 32); }

static inline bool is_of(uint32_t n, uint32_t op, uint32_t kinds)
{
    return stencils[n].kinds == kinds && stencils[n].op == op;
}

static uint64_t hash_of(uint32_t op, uint32_t kinds)
{
    return ((uint64_t)op << 32 | kinds) * 0x9e3779b97f4a7c15ull;
}

/* What is wanted mostly; is_of() tells. */
static uint32_t find_first(uint32_t op, uint32_t kinds)
{
    return stencil_first[hash_of(op, kinds) >> (64 - STENCIL_FIRST_BITS)];
}

static uint32_t find(uint32_t op, uint32_t kinds)
{
    uint64_t hash = hash_of(op, kinds);

    for (uint32_t i = (uint32_t)(hash >> (64 - stencil_table_bits));; i++) {
        uint32_t n = stencil_table[i & ((1u << stencil_table_bits) - 1)];

        if (n == NO_STENCIL || is_of(n, op, kinds))
            return n;
    }
}

/* ---- records ---- */

static __attribute__((noinline)) void begin_vary(struct loader *l)
{
    l->vary_at = l->nwords;
    emit_word(l, 0);
}

/*
 * The record that begins at word `at` is whole: make its header. A return address
 * is a multiple of 16, so a hot part that is a call ends at one; entries are at
 * multiples of 32.
 */
static inline void record_end(struct loader *l, uint32_t at, uint32_t n, uint32_t back)
{
    const struct stencil *s = &stencils[n];
    uint64_t unit = s->flags & STENCIL_UNIT, before = s->flags & STENCIL_ENDS ? s->hot : 0;
    uint64_t hot = ((l->hot_bytes + before + unit) & ~unit) - before;
    bool vary = s->flags & STENCIL_VARY;
    uint64_t words = l->nwords + vary - at;

    assert(words <= 0xff && back <= 0xff);
    l->words[at] = n | back << 16 | words << 24 | hot << 32;
    l->hot_bytes = hot + s->hot;
    l->cold_bytes += s->cold;
    if (vary)
        begin_vary(l);
}

void native_vary_label(struct loader *l, uint32_t label)
{
    if (l->nvary == l->vary_size)
        l->vary = load_grow(l->vary, &l->vary_size, l->nvary + 1, sizeof *l->vary);
    l->vary[l->nvary++] = label;
    l->words[l->vary_at]++;
}

uint32_t native_offset(const struct loader *l, uint32_t at)
{
    return header_hot(l->words[at]);
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

    emit_word(l, 0);
    if (!to_memory)
        emit_word(l, slot);
    if (!is_register((uint8_t)kind))
        emit_word(l, w);
    if (to_memory)
        emit_word(l, slot);
    record_end(l, record, find(OP_move, kinds), 0);
}

/* The instruction whose places are all words of S->operand. */
static void all_memory(struct loader *l)
{
    struct operand operands[OP_WORDS_MAX];
    const char *roles = op_infos[l->op].roles;
    uint32_t first = l->op_at, memory = 0, place = 0;

    for (uint32_t shift = 0; shift < l->op_shift; shift += 4)
        memory |= (uint32_t)KIND_X << shift;
    if (memory == 0) {
        load_fail(l, "an operand of %s is too large", op_infos[l->op].name);
        return;
    }
    uint32_t n = emit_take_back(l, operands), stencil = find(l->op, memory);
    assert(stencil != NO_STENCIL);
    for (uint32_t i = 0; i < n; i++) {
        if (operands[i].is >= OPERAND_WORD)
            continue;
        if (roles[i] != 'd')
            move_operand(l, place, (enum kind)operands[i].is, operands[i].word, true);
        place++;
    }
    uint32_t record = l->nwords;
    emit_word(l, 0);
    place = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (operands[i].is == OPERAND_LABEL)
            emit_label_word(l, (uint32_t)operands[i].word);
        else if (operands[i].is == OPERAND_WORD)
            emit_word(l, operands[i].word);
        else
            emit_word(l, offsetof(struct sched, operand) + place++ * sizeof(term));
    }
    record_end(l, record, stencil, record - first);
    place = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (operands[i].is >= OPERAND_WORD)
            continue;
        if (roles[i] != 's')
            move_operand(l, place, (enum kind)operands[i].is, operands[i].word, false);
        place++;
    }
}

static __attribute__((noinline)) void end_rare(struct loader *l)
{
    uint32_t n = find(l->op, l->op_kinds);

    if (n == NO_STENCIL || l->op_wide > IMM31_MAX)
        all_memory(l);
    else
        record_end(l, l->op_at, n, 0);
}

void native_end(struct loader *l)
{
    uint32_t n = find_first(l->op, l->op_kinds);

    if (likely(is_of(n, l->op, l->op_kinds) && l->op_wide <= IMM31_MAX))
        record_end(l, l->op_at, n, 0);
    else
        end_rare(l);
}

/* ---- copying ---- */

static uint64_t align16(uint64_t n) { return (n + 15) & ~(uint64_t)15; }

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

/* No-ops that fill up to an entry, by length. */
#define GAP_BYTES 32
static uint8_t gaps[GAP_BYTES][GAP_BYTES + STENCIL_SLACK];

typedef long long sixteen __attribute__((vector_size(16), aligned(1), may_alias));
static void copy16(uint8_t *to, const uint8_t *from)
{
    *(sixteen *)to = *(const sixteen *)from;
}

struct copy {
    uint8_t *run, *write;       /* the whole code, as it runs and as it is written */
    uint32_t cold, vary;        /* next place, bytes */
    uint32_t hot_end, cold_end;
    uint32_t nvary;             /* of l->vary */
    uintptr_t to[256 - TO_NEXT];    /* what relocations refer to, from TO_NEXT on */
};

/*
 * n bytes, of a part that ends at `end`. Most are a few dozen, or none: whole 16 bytes
 * are copied, and what is too much is written over by the next record. The table of
 * stencils has STENCIL_SLACK bytes behind it.
 */
static void copy_part(uint8_t *write, uint32_t at, uint32_t end, const uint8_t *from,
                      uint32_t n)
{
    if (at + n + STENCIL_SLACK > end) {
        memcpy(write + at, from, n);
        return;
    }
    copy16(write + at, from);
    copy16(write + at + 16, from + 16);
    for (uint32_t i = 32; i < n; i += 16) {
        copy16(write + at + i, from + i);
        __asm__("");            /* or the loop becomes a call of memcpy */
    }
}

static void put32(uint8_t *at, int64_t v)
{
    int32_t w = (int32_t)v;

    assert(v == w);
    memcpy(at, &w, sizeof w);
}

/* The operands of its own: addresses of labels. */
static void copy_vary(struct loader *l, struct copy *c, uint64_t n)
{
    for (; n > 0; n--, c->vary += 8) {
        uintptr_t to = emit_address(l, l->vary[c->nvary++]);

        memcpy(c->write + c->vary, &to, sizeof to);
    }
}

static void copy_record(struct loader *l, struct copy *c, uint32_t i)
{
    const uintptr_t *words = l->words + i;
    uintptr_t header = words[0];
    const struct stencil *s = &stencils[header_stencil(header)];
    uint32_t hot = header_hot(header), cold = c->cold;
    const uint8_t *from = stencil_bytes + s->at;
    /* By REL_COLD and REL_PC: where it is written, what it is relative to. */
    const struct { uint8_t *write; uintptr_t pc; } parts[4] = {
        {c->write + hot, 0}, {c->write + hot, (uintptr_t)c->run + hot},
        {c->write + cold, 0}, {c->write + cold, (uintptr_t)c->run + cold},
    };

    copy_part(c->write, hot, c->hot_end, from, s->hot);
    if (s->cold)
        copy_part(c->write, cold, c->cold_end, from + s->hot, s->cold);
    from += s->hot + s->cold;
    c->to[TO_NEXT - TO_NEXT] = parts[1].pc + s->hot;
    c->to[TO_SELF - TO_NEXT] = (uintptr_t)c->run + header_hot(words[-(int)header_back(header)]);
    c->to[TO_VARY - TO_NEXT] = (uintptr_t)c->run + c->vary;
    c->to[TO_HOT - TO_NEXT] = parts[1].pc;
    c->to[TO_COLD - TO_NEXT] = parts[3].pc;
    for (const uint8_t *end = from + s->relocs * sizeof(struct stencil_reloc); from < end;
         from += sizeof(struct stencil_reloc)) {
        struct stencil_reloc r;

        memcpy(&r, from, sizeof r);
        uintptr_t to = *(r.to < TO_NEXT ? words + r.to : &c->to[r.to - TO_NEXT]);
        uintptr_t pc = parts[r.kind / REL_PC].pc;
        uintptr_t v = to + (uintptr_t)(intptr_t)r.addend - pc;

        /* No label: so it is told by data; a jump is never taken. */
        v = to || !pc ? v : 0;
        assert(!pc || (intptr_t)v == (int32_t)v);
        uint32_t half = (uint32_t)(v >> (r.kind % REL_PC));
        memcpy(parts[r.kind / REL_PC].write + r.offset, &half, sizeof half);
    }
    c->cold += s->cold;
    if (s->flags & STENCIL_VARY)
        copy_vary(l, c, words[header_length(header) - 1]);
}

/* Ask for what the next record is made from; behind the last one is a header too. */
static void fetch_ahead(const struct loader *l, uint32_t next)
{
    const struct stencil *s = &stencils[header_stencil(l->words[next])];

    __builtin_prefetch(stencil_bytes + s->at);
    __builtin_prefetch(stencil_bytes + s->at + 64);
}

bool native_finish(struct loader *l)
{
    struct code *code = l->code;
    struct copy c;
    uint64_t hot = align16(l->hot_bytes), cold = align16(l->cold_bytes);
    uint64_t vary = (uint64_t)l->nvary * 8;

    if (hot + cold + vary > UINT32_MAX / 2)
        return load_fail(l, "its code is larger than 2 GB");
    emit_word(l, l->hot_bytes << 32);       /* where a label at the end is */
    l->nwords--;
    code->bytes = hot + cold + vary;
    c.run = codemem_alloc(code->bytes);
    if (!c.run) {
        code->bytes = 0;
        return load_fail(l, "the window for code is full");
    }
    code->base = (uintptr_t *)c.run;
    code->cold_at = (uint32_t)hot;
    code->cold_bytes = (uint32_t)cold;
    code->native = true;
    for (uint32_t i = 0; i < l->nvary; i++)
        emit_address(l, l->vary[i]);
    if (!emit_resolve(l)) {
        codemem_free(c.run, code->bytes);
        code->base = NULL;
        return false;
    }
    c.write = codemem_rw(c.run);
    c.cold = c.hot_end = (uint32_t)hot;
    c.vary = c.cold_end = (uint32_t)(hot + cold);
    c.nvary = 0;
    for (uint32_t i = 0; i < stencil_runtime_count; i++)
        c.to[TO_RUNTIME - TO_NEXT + i] = (uintptr_t)stencil_runtime[i];
    for (uint32_t i = 0, end = 0; i < l->nwords;) {
        uintptr_t header = l->words[i];
        uint32_t at = header_hot(header);

        if (at != end)
            copy_part(c.write, end, c.hot_end, gaps[at - end], at - end);
        end = at + stencils[header_stencil(header)].hot;
        fetch_ahead(l, i + header_length(header));
        copy_record(l, &c, i);
        i += header_length(header);
    }
    codemem_written();
    return true;
}

/* ---- beginning ---- */

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

    for (uint32_t n = 0; n < GAP_BYTES; n++)
        fill_nops(gaps[n], n);
    return why ? why : codemem_init();
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
