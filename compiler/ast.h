/* ast.h: the tree that mirrors a source file. Nothing is looked up in it. One kind of node; what its fields mean is a
 * row of the table below:  KIND(id, what `text` holds, what `kid` holds).  An absent optional kid is NULL. */
#ifndef NDEC_AST_H
#define NDEC_AST_H

#include "base.h"

#define NODE_KINDS(KIND)                                                                             \
    /* expressions */                                                                                \
    KIND(NUMBER, "digits as written", "-")                                                           \
    KIND(STRING, "contents without quotes", "-")                                                     \
    KIND(NAME, "name", "-")                                                                          \
    KIND(BINARY, "+ - * / @ ^ < <= > >= == !=", "left, right")                                       \
    KIND(NEG, "-", "operand")                                                                        \
    KIND(CALL, "-", "callee, arguments (GIVEN for a named one)")                                     \
    KIND(GIVEN, "name", "value")                                                                     \
    KIND(INDEX, "-", "base, subscripts (an expression or a RANGE)")                                  \
    KIND(RANGE, "-", "first or NULL, end or NULL")                                                   \
    KIND(MEMBER, "name", "base")                                                                     \
    KIND(ARRAY, "-", "entries of [ ]")                                                               \
    KIND(TYPE, "real, class, int, bool, fn, tensor", "sizes")                                        \
    KIND(ARG, "name", "TYPE, default or NULL")                                                       \
    KIND(HEAD, "-", "ARGs of one pair of brackets")                                                  \
    KIND(BLOCK, "-", "statements")                                                                   \
    /* declarations and statements */                                                                \
    KIND(FILE, "-", "items")                                                                         \
    KIND(INCLUDE, "path", "-")                                                                       \
    KIND(PRECISION, "f32 or f64", "-")                                                               \
    KIND(CONST, "name", "value")                                                                     \
    KIND(DATA, "name", "TYPE")                                                                       \
    KIND(SAMPLE, "name", "TYPE, distribution")                                                       \
    KIND(PARAM, "name", "TYPE, initial value") /* is_frozen */                                       \
    KIND(FN, "name", "HEAD, TYPE, BLOCK")                                                            \
    KIND(LAYER, "name", "static HEAD, HEAD, TYPE, BLOCK") /* a recipe */                             \
    KIND(INSTANCE, "name", "count or NULL, value")        /* layer NAME[count] = value; is_frozen */ \
    KIND(LET, "name", "value")                                                                       \
    KIND(ASSIGN, "name", "value")                                                                    \
    KIND(RETURN, "-", "value")                                                                       \
    KIND(FOR, "variable", "first, end, BLOCK")                                                       \
    KIND(IF, "-", "condition, BLOCK, BLOCK or IF or NULL")                                           \
    KIND(QUANTITY, "name", "value")                                                                  \
    KIND(LOSS, "-", "value")                                                                         \
    KIND(METRIC, "-", "value")                                                                       \
    KIND(OUTPUT, "-", "values")                                                                      \
    KIND(SOLVE, "name", "EQUATION, START, LET and CLAUSE nodes")                                     \
    KIND(TABLEAU, "name", "ROW and CLAUSE nodes")                                                    \
    KIND(TRAIN, "-", "CLAUSE nodes")                                                                 \
    KIND(EQUATION, "left side, e.g. dz", "drift or NULL, noise or NULL")                             \
    KIND(NOISE, "Ito, Stratonovich; with ' @' behind it for general noise", "amplitude")             \
    KIND(START, "state", "time, value") /* z(0) = value */                                           \
    KIND(ROW, "name", "values")         /* c = 0, 1 */                                               \
    /* clauses: `time 0 .. 1 save times` is CLAUSE time [ GROUP [SPAN(0, 1), WORD save [times]] ] */ \
    KIND(CLAUSE, "head word", "GROUPs, one for each comma-separated part")                           \
    KIND(GROUP, "-", "values and WORDs in order")                                                    \
    KIND(WORD, "the word", "its value or nothing")                                                   \
    KIND(SPAN, "-", "first, last: expr .. expr")                                                     \
    KIND(ERROR, "-", "what could not be parsed; a message has been given")

typedef enum NodeKind {
#define KIND(id, text, kid) NODE_##id,
    NODE_KINDS(KIND)
#undef KIND
} NodeKind;

typedef struct Node Node;
struct Node {
    NodeKind kind;
    Span span;        /* the whole construct */
    Span name;        /* the name in it, where it has one */
    const char *text; /* NULL where the table says "-" */
    const char *doc;  /* the comment lines directly above a declaration, or NULL */
    bool is_frozen;
    int n; /* number of kids */
    Node **kid;
    int depth; /* levels of the tree from here down, at most AST_DEPTH: recursion over it is safe */
};

enum { AST_DEPTH = 1000 };

/* parser.y. Always returns a FILE node; errors are in `d`. */
Node *parse(Arena *a, const Source *source, Diags *d);
/* Parses one expression (a derivative rule). */
Node *parse_expr(Arena *a, const Source *source, Diags *d);
/* Parses one clause of a solve, an option of the command line such as `--method dopri5`. */
Node *parse_clause(Arena *a, const Source *source, Diags *d);

/* ast.c */
Node *ast_new(Arena *a, NodeKind kind, Span span, const char *text, int n, Node **kid);
/* Does the name stand in the expression? */
bool ast_mentions(const Node *e, const char *name);
const char *ast_kind_name(NodeKind kind);
void ast_print(Text *t, const Node *node); /* --dump=ast: one node a line, indented, with line:column */

#endif
