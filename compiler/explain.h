/* explain.h: what a compiled model costs and which defaults were taken. */
#ifndef NDEC_EXPLAIN_H
#define NDEC_EXPLAIN_H

#include "model.h"

void explain_model(Arena *a, const Model *model, FILE *to);
void explain_operators(FILE *to);
/* The methods of a parsed file of the prelude, each proved. */
void explain_methods(Arena *a, Diags *d, const Node *file, FILE *to);

#endif
