/*
 * beam.h - is a file a module?
 */
#ifndef TOOL_BEAM_H
#define TOOL_BEAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * What is wrong with a .beam file that should hold the module `name`, as the
 * end of a sentence; NULL: nothing. Looks at its chunks and at its first atom;
 * the code within is ling's to check. A compressed one (gzip) is not looked into.
 */
const char *beam_problem(const uint8_t *p, size_t n, const char *name);

#endif
