/* trees.h: from files to trees to a checked model. */
#ifndef NDEC_TREES_H
#define NDEC_TREES_H

#include "model.h"

typedef struct Trees {
    Node *prelude[16];
    int n_prelude;
    Node *file;
} Trees;

/* The trees of the prelude, at most 16; their number. */
int trees_prelude(Arena *a, Diags *d, Node **file);
/* The trees of a model and of the prelude; what is wrong with them is in d. False after a message if there is no file.
 */
bool trees_read(Arena *a, Diags *d, const char *path, Trees *out);
/* Adds a clause of the command line to the choices, such as --method (option) dopri5 (value); the last one counts. What
 * is wrong with it is in d. */
void trees_choose(Arena *a, Diags *d, Choices *choices, const char *option, const char *value);
/* The model and its exact form; NULL if something is wrong. */
Model *trees_check(Arena *a, Diags *d, const Trees *t, const Choices *choices);

#endif
