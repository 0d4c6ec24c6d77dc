/* explain.h: what a compiled model costs and which defaults were taken. */
#ifndef NDEC_EXPLAIN_H
#define NDEC_EXPLAIN_H

#include "model.h"

void explain_model(Arena *a, const Model *model, FILE *to);
/* "operators" or "methods"; false if it is neither. */
bool explain_list(const char *what, FILE *to);

#endif
