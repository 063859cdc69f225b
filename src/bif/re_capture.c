/*
 * re_capture.c - groups of a regular expression: which are wanted, what they are
 * called.
 */
#include "bif/re.h"
#include "vm/binary.h"

static void captures_add(struct re_captures *c, int group)
{
    if (c->n == c->size) {
        c->size = c->size ? 2 * c->size : 8;
        c->what = c->what ? vm_realloc(c->what, c->size * sizeof *c->what)
                          : vm_alloc(ALLOC_SYSTEM, c->size * sizeof *c->what);
    }
    c->what[c->n++] = group;
}

/* The group number of an entry of PCRE's table of names. */
static int entry_group(const char *entry)
{
    return (uint8_t)entry[0] << 8 | (uint8_t)entry[1];
}

static void captures_add_name(struct re_captures *c, const pcre *code,
                              const char *name, bool dupnames)
{
    char *first, *last;

    if (!dupnames) {
        int group = erts_pcre_get_stringnumber(code, name);

        captures_add(c, group == PCRE_ERROR_NOSUBSTRING ? -1 : group);
        return;
    }
    int size = erts_pcre_get_stringtable_entries(code, name, &first, &last);
    if (size == PCRE_ERROR_NOSUBSTRING) {
        captures_add(c, -1);
        return;
    }
    int n = (int)((last - first) / size) + 1;
    if (n > 1)
        captures_add(c, -n);
    for (int i = 0; i < n; i++, first += size)
        captures_add(c, entry_group(first));
}

/* PCRE's table of names: entries of `size` bytes, sorted by name. */
struct name_table {
    const char *entry;
    int n, size;
    bool dupnames;
};

static bool name_table(const pcre *code, struct name_table *t)
{
    unsigned long options;
    unsigned char *table;

    if (erts_pcre_fullinfo(code, NULL, PCRE_INFO_OPTIONS, &options) != 0
        || erts_pcre_fullinfo(code, NULL, PCRE_INFO_NAMECOUNT, &t->n) != 0
        || erts_pcre_fullinfo(code, NULL, PCRE_INFO_NAMEENTRYSIZE, &t->size) != 0
        || erts_pcre_fullinfo(code, NULL, PCRE_INFO_NAMETABLE, &table) != 0)
        return false;
    t->entry = (const char *)table;
    t->dupnames = options & PCRE_DUPNAMES;
    return true;
}

/* Entry i has the name of the one before. */
static bool name_repeats(const struct name_table *t, int i)
{
    const char *e = t->entry + (size_t)i * (size_t)t->size;

    return i > 0 && t->dupnames && strcmp(e + 2, e + 2 - t->size) == 0;
}

static bool captures_add_value(struct re_captures *c, const pcre *code,
                               const struct name_table *names, term t)
{
    int group;
    size_t n;
    char *s;

    if (re_int(t, &group)) {
        captures_add(c, group);
        return true;
    }
    if (term_is_atom(t)) {
        const struct atom *a = atom_get(t);

        n = a->bytes;
        s = vm_alloc(ALLOC_SYSTEM, n + 1);
        memcpy(s, a->name, n);
    } else {
        if (iolist_size(t, &n) < 0)
            return false;
        s = vm_try_alloc(ALLOC_SYSTEM, n + 1);
        if (!s)
            return false;
        iolist_copy(t, (uint8_t *)s);
    }
    s[n] = '\0';
    captures_add_name(c, code, s, names->dupnames);
    vm_free(s);
    return true;
}

static bool captures_values(struct re_captures *c, const pcre *code, term values)
{
    struct name_table names;

    c->which = CAP_THESE;
    switch (values) {
    case am_all:
        c->which = CAP_ALL;
        return true;
    case am_all_but_first:
        c->which = CAP_ALL_BUT_FIRST;
        return true;
    case am_first:
        captures_add(c, 0);
        return true;
    case am_none:
    case TERM_NIL:
        c->type = CAP_NONE;
        return true;
    case am_all_names:
        if (!name_table(code, &names))
            return false;
        for (int i = 0; i < names.n; i++) {
            const char *e = names.entry + (size_t)i * (size_t)names.size;

            if (!names.dupnames)
                captures_add(c, entry_group(e));
            else if (!name_repeats(&names, i))
                captures_add_name(c, code, e + 2, true);
        }
        if (names.n == 0)
            c->type = CAP_NONE;
        return true;
    default:
        break;
    }
    if (!term_is_cons(values) || !name_table(code, &names))
        return false;
    for (; term_is_cons(values); values = cons_tail(values)) {
        if (!captures_add_value(c, code, &names, cons_head(values)))
            return false;
    }
    return term_is_nil(values);
}

bool re_captures_parse(struct re_captures *c, const pcre *code,
                           const struct re_options *o)
{
    *c = (struct re_captures){.type = CAP_INDEX, .which = CAP_ALL};
    if (!(o->flags & OPT_CAPTURE))
        return true;
    switch (o->capture_type) {
    case am_index:
        c->type = CAP_INDEX;
        break;
    case am_list:
        c->type = CAP_LIST;
        break;
    case am_binary:
        c->type = CAP_BINARY;
        break;
    default:
        return false;
    }
    return captures_values(c, code, o->capture);
}

/* {namelist, Names} of a compiled pattern. */
BIF(re, inspect, 2)
{
    struct name_table names;
    struct binbytes b;
    term list = TERM_NIL;

    if (!re_is_pattern(arg[0]) || arg[1] != am_namelist)
        return bif_badarg(p);
    binary_bytes(*tuple_at(arg[0], 5), &b);
    pcre *code = NULL;
    if (re_code_is_whole(b.data, b.size)) {
        code = vm_alloc(ALLOC_SYSTEM, b.size);
        memcpy(code, b.data, b.size);
    }
    binary_bytes_end(&b);
    if (!code || !name_table(code, &names)) {
        vm_free(code);
        return bif_badarg(p);
    }
    for (int i = names.n - 1; i >= 0; i--) {
        const char *name = names.entry + (size_t)i * (size_t)names.size + 2;

        if (!name_repeats(&names, i))
            list = build_cons(p, binary_from(p, name, strlen(name)), list);
    }
    vm_free(code);
    return build_tuple2(p, am_namelist, list);
}
