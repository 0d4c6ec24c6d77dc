/* compare.h: the rows of the command `compare`. */
#ifndef NDEC_COMPARE_H
#define NDEC_COMPARE_H

#include "toolchain.h"
#include "trees.h"

/* A program with the model, which was compiled with these choices, and the same with other methods, adjoints, batchings
 * and controllers, one part changed at a time. list: for each part what is tried, separated by commas, or NULL: what
 * fits. 0, or an exit code after a message. */
int compare_program(Arena *a, const Trees *trees, const Choices *choices, const Model *model,
                    const char *const list[COMPARE_PARTS], Program *out);

#endif
