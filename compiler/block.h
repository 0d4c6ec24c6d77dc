/* block.h: a solve block being read: what equation.c and clause.c share. */
#ifndef NDEC_BLOCK_H
#define NDEC_BLOCK_H

#include "checker.h"

typedef struct Block { /* a solve block being read */
    Check *c;
    Scope *outer, *inner;
    Builder *main, *field;
    Node *node;
    Solve *solve;
    SolveInfo *info;
    Terms terms;
    Val *start; /* [state] */
} Block;

/* ---- clause.c ---- */
/* What holds where no clause says otherwise. */
void clause_presets(Block *k);
/* Reads all clauses, in an order in which each finds what it is checked against. */
void clause_read(Block *k);
/* After clause_read: the defaults of what was not given; false if the block cannot be solved. */
bool clause_check(Block *k);
void clause_not_yet(Block *k, Node *node, const char *what);

/* ---- tolerance.c ---- */
void tolerance_read(Block *k, Node *clause);
/* Have the tolerances one entry, or one for each component? False after a message. When the states are known. */
bool tolerance_fits(Block *k);

#endif
