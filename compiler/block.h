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
    Val *start;           /* [state] */
    Node *time, *adjoint; /* their clauses */
    Problem core;         /* the solve without tangents, if it has any */
} Block;

/* ---- clause.c ---- */
/* What holds where no clause says otherwise. */
void clause_presets(Block *k);
/* Reads all clauses, in an order in which each finds what it is checked against. */
void clause_read(Block *k);
/* After clause_read: the defaults of what was not given; false if the block cannot be solved. */
bool clause_check(Block *k);
void clause_not_yet(Block *k, Node *node, const char *what);
/* The name of a setting of the solve. */
const char *clause_key(const Block *k, const char *clause);
bool clause_is_word(const Node *node, const char *text);
/* False after a message: the setting, read from the node, is not above 0. */
bool clause_positive(Block *k, Node *node, int setting);

/* ---- span.c ---- */
/* After both bounds: the clock of the solve, if one of them is learned. */
void span_clock(Block *k);

/* ---- save.c ---- */
/* The argument of the solve that is its saved times, of each sample if samples have their own steps; -1: they are
 * static, or none. When the equations are read; says whether the solve has rates. */
int save_key(Block *k, Keys *keys);

/* ---- adjoint.c ---- */
void adjoint_read(Block *k, Node *clause);
/* After all clauses: do they go with the adjoint? */
void adjoint_check(Block *k);
/* A bound of the tape such as 64 MiB: a number and its unit. */
void adjoint_memory(Block *k, Node *clause, Node *number, Node *unit);

/* ---- forward.c ---- */
/* Makes tangents further states of a solve in training whose adjoint they are; keeps it as it was in k->core. False if
 * there are none. */
bool forward_add(Block *k, const Keys *keys, Problem *p);

/* ---- tolerance.c ---- */
void tolerance_read(Block *k, Node *clause);
/* Have the tolerances one entry, or one for each component? False after a message. When the states are known. */
bool tolerance_fits(Block *k);

#endif
