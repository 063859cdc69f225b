/*
 * profile_svg.c - the stacks that were found as a flame graph: a rectangle a
 * frame, as wide as the time spent in it and in what it called, above the frame
 * that called it. Names that fit are written in; all are titles, which browsers
 * show under the pointer.
 */
#include "vm/profile.h"

#define WIDTH 1200.0
#define ROW 16
#define MARGIN 10
#define HEAD 40                 /* the title's rows */
#define CHAR_WIDTH 6.6          /* of 11 px monospace */
#define LEAST_WIDTH 0.3         /* narrower ones are left out */

struct picture {
    struct text *t;
    double per_ns;              /* pixels */
    uint64_t total_ns;
    uint32_t depth;             /* of the deepest stack */
};

static void add_escaped(struct text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        switch (s[i]) {
        case '<': text_add(t, "&lt;", 4); break;
        case '>': text_add(t, "&gt;", 4); break;
        case '&': text_add(t, "&amp;", 5); break;
        case '"': text_add(t, "&quot;", 6); break;
        default:
            /* No control characters in XML; a name may have them. */
            text_add(t, (uint8_t)s[i] < ' ' ? "?" : &s[i], 1);
        }
    }
}

/* A warm colour that is the same for the same function. */
static void colour(const struct profile_frame *f, unsigned rgb[3])
{
    uint64_t h = (f->m * 31 + f->f) * 0x9e3779b97f4a7c15ull;

    rgb[0] = 205 + (unsigned)(h >> 56) % 50;
    rgb[1] = 80 + (unsigned)(h >> 40 & 0xff) % 130;
    rgb[2] = (unsigned)(h >> 24 & 0xff) % 55;
}

static void rectangle(struct picture *p, const struct profile_frame *f, uint32_t depth,
                      uint64_t from_ns, uint64_t to_ns)
{
    double x = MARGIN + (double)from_ns * p->per_ns;
    double width = (double)(to_ns - from_ns) * p->per_ns;
    unsigned y = HEAD + (p->depth - 1 - depth) * ROW, rgb[3];
    struct text name;

    if (width < LEAST_WIDTH)
        return;
    text_init(&name);
    profile_name(&name, f);
    colour(f, rgb);
    text_printf(p->t, "<g><title>");
    add_escaped(p->t, name.s, name.n);
    text_printf(p->t, " (%.1f ms, %.2f %%)</title>", (double)(to_ns - from_ns) / 1e6,
                100.0 * (double)(to_ns - from_ns) / (double)p->total_ns);
    text_printf(p->t,
                "<rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" rx=\"1\" "
                "fill=\"rgb(%u,%u,%u)\"/>",
                x, y, width, ROW - 1, rgb[0], rgb[1], rgb[2]);
    size_t fits = width > 20 ? (size_t)((width - 6) / CHAR_WIDTH) : 0;
    if (fits >= 3) {
        text_printf(p->t, "<text x=\"%.1f\" y=\"%u\">", x + 3, y + 12);
        if (name.n <= fits) {
            add_escaped(p->t, name.s, name.n);
        } else {
            /* Not in the middle of a character. */
            size_t n = fits - 2;
            while (n > 0 && ((uint8_t)name.s[n] & 0xc0) == 0x80)
                n--;
            add_escaped(p->t, name.s, n);
            text_add(p->t, "..", 2);
        }
        text_printf(p->t, "</text>");
    }
    text_printf(p->t, "</g>\n");
    text_fini(&name);
}

static bool same(const struct profile_frame *a, const struct profile_frame *b)
{
    return a->m == b->m && a->f == b->f && a->arity == b->arity;
}

/*
 * Stacks come in order, so the frames that one shares with the one before lie
 * side by side: begun[d] is where the rectangle at depth d began.
 */
static void draw(struct picture *p, struct profile_stack **all, size_t n)
{
    uint64_t begun[PROFILE_DEPTH], at = 0;

    for (size_t i = 0; i < n; i++) {
        const struct profile_stack *s = all[i], *before = i > 0 ? all[i - 1] : NULL;
        uint32_t shared = 0;

        while (before && shared < s->n && shared < before->n &&
               same(&s->frame[shared], &before->frame[shared]))
            shared++;
        for (uint32_t d = shared; before && d < before->n; d++)
            rectangle(p, &before->frame[d], d, begun[d], at);
        for (uint32_t d = shared; d < s->n; d++)
            begun[d] = at;
        at += s->ns;
    }
    for (uint32_t d = 0; n > 0 && d < all[n - 1]->n; d++)
        rectangle(p, &all[n - 1]->frame[d], d, begun[d], at);
}

void profile_svg(struct text *t)
{
    struct picture p = {.t = t};
    size_t n;
    struct profile_stack **all = profile_stacks(&n);

    for (size_t i = 0; i < n; i++) {
        p.total_ns += all[i]->ns;
        if (all[i]->n > p.depth)
            p.depth = all[i]->n;
    }
    p.per_ns = p.total_ns ? (WIDTH - 2 * MARGIN) / (double)p.total_ns : 0;
    text_printf(t,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%u\" "
                "font-family=\"monospace\" font-size=\"11\">\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"#f8f8f0\"/>\n"
                "<text x=\"%d\" y=\"20\" font-size=\"14\">%.1f ms in %zu stacks</text>\n",
                WIDTH, HEAD + p.depth * ROW + MARGIN, MARGIN, (double)p.total_ns / 1e6, n);
    draw(&p, all, n);
    text_printf(t, "</svg>\n");
    vm_free(all);
}
