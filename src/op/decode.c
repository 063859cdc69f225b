/*
 * decode.c - the chunk Code: bytes to generic instructions, with the frame that
 * each one finds.
 *
 * Rows of the frame table come from the frames, so that a stack can be walked
 * exactly. They are followed along every jump, from entries on; code is mostly laid
 * out so that what leads to an instruction comes before it, and then all is known
 * when it is read. A jump back with news for code that was passed puts its label on
 * a list, and what comes after that label is gone through again.
 */
#include "op/compact.h"
#include "op/genop.h"
#include "vm/module.h"

enum genop_flag {
    GENOP_ENDS = 1,             /* control never reaches the next instruction */
    GENOP_BENT = 2,             /* it changes the frame, or is a place to jump to */
    GENOP_DROPS_LINE = 4,       /* see drops_line; all of them end a block */
};
static const struct {
    const char *name;
    uint8_t arity;
} genops[] = {
#define GENOP(number, name, arity) [number] = {#name, arity},
#include "op/genop.def"
#undef GENOP
};
static const uint8_t genop_flags[GENOP_END] = {
#define ENDS(name) [G_##name] = GENOP_ENDS
    ENDS(jump), ENDS(return), ENDS(apply_last), ENDS(badmatch), ENDS(case_end),
    ENDS(if_end), ENDS(try_case_end), ENDS(raise), ENDS(badrecord), ENDS(select_val),
    ENDS(select_tuple_arity), ENDS(wait), ENDS(loop_rec_end), ENDS(int_code_end),
    ENDS(func_info) | GENOP_BENT,
    ENDS(call_only) | GENOP_DROPS_LINE, ENDS(call_ext_only) | GENOP_DROPS_LINE,
    ENDS(call_last) | GENOP_DROPS_LINE, ENDS(call_ext_last) | GENOP_DROPS_LINE,
#define BENT(name) [G_##name] = GENOP_BENT
    BENT(label), BENT(allocate), BENT(allocate_zero), BENT(allocate_heap),
    BENT(allocate_heap_zero), BENT(deallocate), BENT(trim),
};

/* No instruction has more, but for the elements of a list. */
#define OPERANDS_MAX 8
#define GENOP(number, name, arity) \
    _Static_assert(arity <= OPERANDS_MAX, #name " has more operands");
#include "op/genop.def"
#undef GENOP

const char *genop_name(uint32_t op)
{
    return op < GENOP_END && genops[op].name ? genops[op].name : "?";
}
uint32_t genop_last(void) { return GENOP_END - 1; }

/* ---- frames ---- */

/* Where control is, while instructions are gone through in order. */
struct flow {
    int32_t frame;              /* words, -1: it can't be here */
    bool unsure;                /* ... or others */
    uint32_t nagain;
    struct flow_label {
        int32_t at;             /* frame and AT_UNSURE, -1: not known */
        uint32_t where;         /* its instruction + 1; 0: not passed yet */
        bool listed;            /* in again */
    } *labels;
    uint32_t *again;            /* labels with news since they were passed */
};
#define AT_UNSURE (1 << 30)
#define AT_FRAME (AT_UNSURE - 1)

/* The frame after an instruction; arguments are checked when it is translated. */
static int32_t frame_after(const struct ginstr *in, const struct arg *a)
{
    switch (in->op) {
    case G_allocate: case G_allocate_zero: case G_allocate_heap:
    case G_allocate_heap_zero:
        return (int32_t)a[0].value;
    case G_deallocate: case G_call_last: case G_call_ext_last:
        return 0;
    case G_trim:
        return in->frame - (int32_t)a[0].value;
    default:
        return in->frame;
    }
}

/* Control comes to label n with this frame. That may be news to what was passed. */
static void arrive(struct flow *f, uint64_t n, int32_t frame)
{
    struct flow_label *label = &f->labels[n];
    int32_t was = label->at, is = was;

    if ((was & AT_FRAME) != frame)
        is |= AT_UNSURE;
    if (was < 0)
        is = frame;
    label->at = is;
    if (is != was && label->where && !label->listed) {
        label->listed = true;
        f->again[f->nagain++] = (uint32_t)n;
    }
}

static bool flow_label(struct loader *l, struct flow *f, const struct ginstr *in,
                       const struct arg *a)
{
    uint64_t n = a[0].value;

    if (a[0].kind != ARG_U || n >= l->nlabels || n == 0)
        return load_fail(l, "label %u is out of range", (unsigned)n);
    if (f->frame >= 0 && !f->unsure)
        arrive(f, n, f->frame);
    int32_t at = f->labels[n].at;
    f->unsure = at >= 0 && at & AT_UNSURE;
    f->frame = at < 0 ? at : at & AT_FRAME;
    f->labels[n].where = (uint32_t)(in - l->instrs) + 1;
    return true;
}

static void flow_to(struct flow *f, const struct arg *a)
{
    uint64_t n = a->value;

    if (a->kind == ARG_LABEL && n != 0 && !(f->unsure && f->labels[n].at >= 0))
        arrive(f, n, f->frame);
}

/*
 * An instruction that is reached, and names labels, or leaves another frame. Code
 * that only raises may be reached with different ones: then it is unsure.
 */
static bool flow_on(struct loader *l, struct flow *f, const struct ginstr *in,
                    const struct arg *a)
{
    if (in->labels && in->op != G_call && in->op != G_call_last && in->op != G_call_only) {
        for (uint32_t k = 0; k < in->count; k++)
            flow_to(f, &a[k]);
        if (in->op == G_wait || in->op == G_wait_timeout || in->op == G_loop_rec_end)
            l->resumes[a[0].kind == ARG_LABEL ? a[0].value : 0] = 1;
    }
    f->frame = frame_after(in, a);
    if (f->frame < 0 || f->frame > (int32_t)X_REGS * 64)
        return load_fail(l, "a frame has %d words", f->frame);
    f->unsure &= f->frame == in->frame;
    return true;
}

static __attribute__((noinline)) bool flow_bent(struct loader *l, struct flow *f,
                                                struct ginstr *in, const struct arg *a)
{
    if (in->op == G_label && !flow_label(l, f, in, a))
        return false;
    if (in->op == G_func_info && f->frame < 0)
        f->frame = 0;
    in->frame = f->frame;
    in->unsure = f->unsure;
    if (in->op == G_func_info) {
        f->frame = 0;           /* the entry that follows it */
        f->unsure = false;
        return true;
    }
    if (f->frame >= 0 && !flow_on(l, f, in, a))
        return false;
    if (genop_flags[in->op] & GENOP_ENDS) {
        f->frame = -1;
        f->unsure = false;
    }
    return true;
}

/* The frame of one instruction, and of what comes after it. False after load_fail. */
static inline bool flow_step(struct loader *l, struct flow *f, struct ginstr *in,
                             const struct arg *a)
{
    if (in->labels | genop_flags[in->op])
        return flow_bent(l, f, in, a);
    in->frame = f->frame;
    in->unsure = f->unsure;
    return true;
}

/*
 * Follow the news, each time as far as the next label. There can be news of a label
 * twice: a frame, and that it may be another.
 */
static bool flow_again(struct loader *l, struct flow *f)
{
    while (f->nagain) {
        struct flow_label *label = &f->labels[f->again[--f->nagain]];
        struct ginstr *in = &l->instrs[label->where - 1];

        label->listed = false;
        f->frame = -1;
        f->unsure = false;
        do {
            if (!flow_step(l, f, in, l->args + in->first))
                return false;
            in++;
        } while (f->frame >= 0 && in->op != G_label);
        if (f->frame >= 0 && !f->unsure)
            arrive(f, l->args[in->first].value, f->frame);
    }
    return true;
}

/* ---- instructions ---- */

static bool neighbours(struct arg a, struct arg b)
{
    return a.kind == b.kind && (a.value + 1 == b.value || b.value + 1 == a.value);
}

static bool is_place(struct arg a) { return a.kind == ARG_X || a.kind == ARG_Y; }

/*
 * Is the last of the n moves before l->ninstrs the second of two that OTP's loader
 * makes one, from and to neighbours? It takes them in their order.
 */
static bool is_paired(const struct loader *l, uint32_t n)
{
    const struct ginstr *at = &l->instrs[l->ninstrs - n], *last = at + n - 1;

    while (at < last) {
        const struct arg *a = &l->args[at[0].first], *b = &l->args[at[1].first];
        bool chain = a[1].kind == b[0].kind && a[1].value == b[0].value;

        at += is_place(a[0]) && !chain && neighbours(a[0], b[0]) && neighbours(a[1], b[1])
                  ? 2 : 1;
    }
    return at > last;
}

/*
 * OTP's loader drops the line of a last call of what is no BIF right behind a
 * move to x0; a case_clause after it is then of the line before.
 */
static bool drops_line(const struct loader *l, const struct ginstr *in)
{
    const struct arg *a;
    uint32_t moves = 0;

    while (moves < l->ninstrs && l->instrs[l->ninstrs - 1 - moves].op == G_move)
        moves++;
    if (moves == 0)
        return false;
    a = &l->args[l->instrs[l->ninstrs - 1].first + 1];
    if (a->kind != ARG_X || a->value != 0 || is_paired(l, moves))
        return false;
    if (in->op == G_call_last || in->op == G_call_only)
        return true;
    a = &l->args[in->first + 1];
    return a->value < l->nimports && !l->imports[a->value].export->bif &&
           !import_is_apply(&l->imports[a->value]);
}

static bool read_instrs(struct loader *l, struct reader r, struct flow *f)
{
    uint32_t line = 0;

    while (load_ok(l)) {
        if (r.p == r.end)
            return load_fail(l, "it is truncated");
        uint32_t op = *r.p++;

        if (op == 0 || op >= GENOP_END)
            return load_fail(l, "it has instruction number %u, which this VM does "
                             "not know", (unsigned)op);
        if (l->ninstrs == l->instrs_size)
            l->instrs = load_grow(l->instrs, &l->instrs_size, l->ninstrs + 1,
                                  sizeof *l->instrs);
        struct ginstr *in = &l->instrs[l->ninstrs];

        in->op = op;
        in->first = l->nargs;
        l->arg_labels = false;
        if (l->args_size - l->nargs < OPERANDS_MAX)
            l->args = load_grow(l->args, &l->args_size, l->nargs + OPERANDS_MAX,
                                sizeof *l->args);
        uint64_t left = read_short_args(l, &r, genops[op].arity);
        if (left && !read_args(l, &r, left))
            return false;
        const struct arg *a = l->args + in->first;

        in->labels = l->arg_labels;
        in->count = l->nargs - in->first;
        if (op == G_line) {
            line = (uint32_t)a->value;
            if (a->kind != ARG_U || line >= l->code->nlines || !l->code->lines[line].line)
                line = 0;
            l->nargs = in->first;
            continue;
        }
        if (genop_flags[op] & GENOP_DROPS_LINE && line && drops_line(l, in))
            line = in[-1].line;
        in->line = line;
        if (!flow_step(l, f, in, a))
            return false;
        if (op == G_put_map_assoc)
            new_map_keys(l, in);
        l->ninstrs++;
        if (op == G_int_code_end)
            return true;
    }
    return false;
}

bool decode_code(struct loader *l, struct reader r)
{
    size_t bytes = (size_t)(r.end - r.p), labels = l->nlabels + 1;
    struct flow f = {.frame = -1};

    /* As much as code of that size mostly has, lest they grow step by step. */
    l->args = load_grow(NULL, &l->args_size, bytes * 10 / 16 + 64, sizeof *l->args);
    l->instrs = load_grow(NULL, &l->instrs_size, bytes * 9 / 32 + 64, sizeof *l->instrs);
    l->words = load_grow(NULL, &l->words_size, bytes * 9 / 16 + 64, sizeof *l->words);
    l->fixups = load_grow(NULL, &l->fixups_size, bytes / 8 + 64, sizeof *l->fixups);
    l->resumes = vm_zalloc(ALLOC_CODE, labels);
    read_args_init(l);
    f.labels = vm_alloc(ALLOC_CODE, labels * (sizeof *f.labels + sizeof *f.again));
    f.again = (uint32_t *)(f.labels + labels);
    for (size_t i = 0; i < labels; i++)
        f.labels[i] = (struct flow_label){.at = -1};
    bool ok = read_instrs(l, r, &f) && flow_again(l, &f);
    l->code->ninstrs = l->ninstrs;
    for (size_t i = 0; i < labels; i++)
        l->code->ninstrs -= f.labels[i].where != 0;
    vm_free(f.labels);
    return ok;
}

bool decode_header(struct loader *l, struct reader *r)
{
    uint32_t head = read_u32(l, r);
    const uint8_t *after = r->p;
    uint32_t version = read_u32(l, r);
    uint32_t last = read_u32(l, r);

    l->nlabels = read_u32(l, r);
    l->nfunctions = read_u32(l, r);
    if (!load_ok(l))
        return false;
    if (version != 0 || last > genop_last())
        return load_fail(l, "its instructions (set %u, up to %u) are newer than this "
                         "VM's (up to %u)", (unsigned)version, (unsigned)last,
                         (unsigned)genop_last());
    if (head < 16 || head > (size_t)(r->end - after))
        return load_fail(l, "its Code chunk is broken");
    r->p = after + head;
    /* A label takes two bytes, a function more. */
    size_t bytes = (size_t)(r->end - r->p);
    if (l->nlabels > bytes + 2 || l->nfunctions > bytes)
        return load_fail(l, "its Code chunk claims %u labels", (unsigned)l->nlabels);
    return true;
}
