/*
 * code_size.c - ling:code_size(Module): what the current code of a module takes.
 *
 * [{Part, N}], bytes but for instructions: the compiler's, without labels and
 * lines.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "vm/atom.h"

BIF(ling, code_size, 1)
{
    struct module *m = term_is_atom(arg[0]) ? module_find(arg[0]) : NULL;
    const struct code *c = m ? m->curr : NULL;
    term list = TERM_NIL;

    if (!c)
        return bif_badarg(p);
    const struct { term part; size_t n; } parts[] = {
        {am_instructions, c->ninstrs},
        {am_hot, c->bytes - c->cold_bytes},
        {am_cold, c->cold_bytes},
        {am_functions, c->nfuncs * sizeof *c->funcs},
        {am_frames, c->nrows * sizeof *c->rows + c->nwide * sizeof *c->wide_rows},
        {am_lines, c->nlines * (sizeof *c->lines +
                                (c->line_files ? sizeof *c->line_files : 0)) +
                       c->nfiles * sizeof *c->files},
        {am_exports, c->nexports * (sizeof *c->exports + sizeof(struct export))},
        {am_funs, c->nfuns * (sizeof *c->funs + sizeof *c->fun_addrs +
                              sizeof(struct fun_entry))},
        {am_imports, c->nimports * sizeof *c->imports},
        {am_catches, c->ncatches * (sizeof *c->catches + sizeof(struct catch_entry))},
        {am_module, sizeof *c + sizeof *m},
    };
    for (size_t i = sizeof parts / sizeof *parts; i-- > 0;)
        list = build_item(p, parts[i].part, small_make((int64_t)parts[i].n), list);
    return list;
}
