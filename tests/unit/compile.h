/* compile.h: models from text, for tests of what the checker makes of them. Memory lies in the arena. */
#ifndef NDEC_TEST_COMPILE_H
#define NDEC_TEST_COMPILE_H

#include "model.h"

/* The model in `text`, with the prelude; fails the test after printing the messages if there are errors. */
Model *model_of(Arena *a, const char *text, bool no_reduce);
/* Tableau k of the prelude, from 0, or NULL; and how many there are. */
const Node *tableau_node(Arena *a, int k);
int n_tableau(void);
/* Fails the test if there is no such function. */
Fn *fn_named(const Module *m, const char *name);

#endif
