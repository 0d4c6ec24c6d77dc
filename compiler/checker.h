/* checker.h: what the files of the checker share: values, scopes, builders. Nobody else includes it.
 *
 * Checking and lowering are one walk over the tree: evaluating an expression gives its value, and if that is not known
 * when compiling, the value is an instruction appended to the function being built. A wrong expression gives poison,
 * which agrees with everything, so that no error is caused by another. */
#ifndef NDEC_CHECKER_H
#define NDEC_CHECKER_H

#include "model.h"

typedef struct Check Check;
typedef struct Builder Builder;
typedef struct Scope Scope;
typedef struct Symbol Symbol;
typedef struct Value Value;
typedef struct SolveInfo SolveInfo;
typedef struct Internals Internals;

typedef enum ValueKind {
    VALUE_poison,
    VALUE_number,   /* static scalar: num */
    VALUE_array,    /* static tensor: type, array */
    VALUE_tensor,   /* an instruction: home, val, type */
    VALUE_param,    /* index in model->params */
    VALUE_data,     /* index in model->data */
    VALUE_sample,   /* index in model->samples */
    VALUE_setting,  /* index in model->settings */
    VALUE_leaf,     /* training step (index 0), number of steps (1) */
    VALUE_states,   /* one tensor for each state: n, many */
    VALUE_stages,   /* k[1] ..: n stages of states: many[stage] is VALUE_states */
    VALUE_fn,       /* a user's or the prelude's fn: symbol */
    VALUE_op,       /* a row of op.def: index */
    VALUE_builtin,  /* a row of builtin.c: index */
    VALUE_recipe,   /* layer recipe: symbol */
    VALUE_layer,    /* layer instance: symbol of the recipe, path, statics */
    VALUE_layers,   /* n, many */
    VALUE_solve,    /* solve */
    VALUE_series,   /* NAME.z: solve, index of the state; called with a time */
    VALUE_string,   /* text */
    VALUE_quantity, /* symbol */
    VALUE_tableau   /* tableau */
} ValueKind;

struct Value {
    ValueKind kind;
    const Rat *num;
    Type type;
    const double *array;
    Builder *home;
    Val val;
    int index, n;
    Value *many;
    Symbol *symbol;
    const char *path, *text;
    Scope *statics; /* of a layer: its static arguments */
    SolveInfo *solve;
    const Tableau *tableau;
    int classes;    /* of a label: number of classes, else 0 */
    bool is_frozen; /* of a layer */
};

struct Symbol {
    const char *name;
    Span span;
    Node *node;   /* the declaration */
    Scope *scope; /* where it was declared */
    Value value;
    bool is_used, is_assignable;
    const char *noun; /* "data field", "parameter", ...: for messages */
};

typedef enum ScopeKind {
    SCOPE_prelude,
    SCOPE_file,
    SCOPE_body, /* of a fn, layer or quantity: sees const, param, layer, fn of the file, but no values of a sample */
    SCOPE_block /* sees all of its parent */
} ScopeKind;
struct Scope {
    Scope *parent;
    ScopeKind kind;
    LIST(Symbol *) symbols;
};

/* What a function under construction uses of the outside. Several functions of one solve share one list. */
typedef struct Keys {
    LIST(Value) at; /* param, sample, data, leaf, or a tensor of an outer builder */
} Keys;
struct Builder {
    Fn *fn;
    Builder *parent;    /* whose tensors may be captured; NULL: none */
    Keys *keys;         /* NULL: top level, where leaves are instructions */
    int n_fixed;        /* inputs that are not captured */
    bool is_flat;       /* the finished function is without calls: what stands in them was differentiated here */
    LIST(Val) captured; /* [key]: the input, or NO_VAL */
};

typedef struct Clock { /* of a learned span: the model's time is start + length x at a part x of it */
    Value start, length;
} Clock;

struct SolveInfo {
    Solve *solve;
    Val ins; /* OP_solve in `home` */
    Builder *home;
    Value from, to, save; /* values of the bounds and of the saved times (poison: none): static, of the whole batch,
                           * or of each sample; of bounds that are learned: */
    Clock *clock;         /* or NULL */
    Fn *field;            /* as written, */
    Keys keys;            /* and its keys */
    Value count;          /* of each sample: how many saved times count (poison: all) */
    bool is_written;      /* the instruction exists: results can be asked for */
    bool is_save_wrong, is_time_wrong; /* reported already */
    const struct Reduction *reduction;
};

typedef struct Instance { /* a fn for given argument types */
    Symbol *symbol;
    int n;
    Type *type;
    bool training;
    Fn *fn;
    Keys *keys;
    long calls; /* in it, if all were expanded */
} Instance;

struct Check {
    Arena *arena;
    Diags *diags;
    Module *module;
    Model *model;
    Scope *prelude, *file;
    Builder *main; /* of the program being built */
    bool training;
    Span site;                              /* in prelude code: the user's place; source NULL elsewhere */
    const char *path;                       /* prefix of parameters being declared: "field." */
    bool is_frozen;                         /* within a frozen layer */
    const char *setting;                    /* if set, number literals become settings of that name */
    int n_setting_literal, setting_literal; /* in this clause: how many, how many seen */
    bool no_reduce, no_difference;          /* --no-reduce, --no-difference */
    long turns, calls;                      /* of all loops, of everything that is expanded */
    int depth; /* of calls being inlined: there is no recursion, but a message is better than a crash */
    LIST(Instance *) instances;
    LIST(SolveInfo *) solves;
    LIST(Val) losses;
    LIST(Val) penalties;
    LIST(Val) metrics;
    LIST(Val) outputs;
    Node *optimizer;
    const Internals *internals; /* while a quantity is evaluated */
    const struct Path *path_of; /* while what is integrated along a path is evaluated */
};

/* ---- scope.c ---- */
Scope *scope_new(Check *c, Scope *parent, ScopeKind kind);
/* Declares a name; reports a second declaration in the same block. */
Symbol *scope_add(Check *c, Scope *s, const char *name, Span span, Value value, const char *noun);
/* Finds a name that may be used from s; reports when there is none or when it must be passed as an argument. */
Symbol *scope_find(Check *c, Scope *s, const char *name, Span span);
Symbol *scope_lookup(Scope *s, const char *name); /* no message, no rule about bodies */
void scope_unused(Check *c, const Scope *s);
Span check_span(const Check *c, const Node *node);

/* ---- build.c ---- */
Value value_poison(void);
Value value_num(const Rat *r);
Value value_int(Check *c, long n);
Value value_val(Builder *b, Val v);
bool value_is_static(const Value *v);
bool value_int_of(const Value *v, long *out);
/* The type of what can be a tensor; false for the rest. */
bool value_type(const Check *c, const Value *v, Type *out);
/* Is it a value of each sample? */
bool value_is_of_sample(const Check *c, const Value *v);
const char *value_text(Check *c, const Value *v); /* "real[3]", "a layer", ... */
/* As an instruction of b, captured if it belongs further out. v must have a type. */
Val build_val(Check *c, Builder *b, const Value *v);
Builder *build_new(Check *c, const char *name, Span span, Builder *parent, Keys *keys);
Val build_input(Check *c, Builder *b, Type type, const char *name);
/* The finished function: fixed inputs first, then one for each key, in order; canonical, in the module. */
Fn *build_finish(Check *c, Builder *b);
/* The number of a key, new or not. */
int build_key(Check *c, Keys *keys, const Value *v);
/* The values of the keys in b, appended to arg. */
int build_keys(Check *c, Builder *b, const Keys *keys, Val *arg);
/* Has a value of so many elements room? Reports it otherwise. */
bool build_fits(Check *c, double size, Span span);
/* Are that too many calls within calls, or in all? So many more are expanded, here or by those who need a function
 * without calls (fn_flat). Reports it once. */
bool build_too_many(Check *c, Node *node, long calls);
Val build_op(Check *c, Builder *b, Op op, int n, const Val *arg, Imm imm, Span span);
Val build_map(Check *c, Builder *b, Op op, Val a, Val b2, Span span);
/* The mean over the batch of a scalar of each sample; a shared one is itself. */
Val build_batch_mean(Check *c, Builder *b, Val v);
/* A value held constant by the derivative. */
Val build_detached(Check *c, Builder *b, Val v);
/* sqrt(mean of squares) over all states and elements (Hairer, Norsett & Wanner 1993, II.4.11), and over all samples,
 * unless it is one for each sample. */
Val build_rms(Check *c, Builder *b, int n, const Val *x, bool is_per_sample);

/* ---- expr.c ---- */
Value eval(Check *c, Scope *s, Builder *b, Node *node);
/* A scalar known when compiling, or poison after a message that says what it is for. */
Value eval_static(Check *c, Scope *s, Node *node, const char *what);
bool eval_int(Check *c, Scope *s, Node *node, const char *what, long *out);
/* As a tensor instruction of b; NO_VAL after a message. */
Val eval_tensor(Check *c, Scope *s, Builder *b, Node *node, const char *what);
/* A number for the whole batch, in which each number that is written is a setting called key, or key.1, key.2 ...;
 * NO_VAL after a message. */
Val eval_settings(Check *c, Scope *s, Builder *b, Node *node, const char *key, const char *what);
Value apply_op(Check *c, Builder *b, Op op, int n, const Value *arg, Node *node);
Value concat_values(Check *c, Builder *b, int n, Value *entry, Node *node);

/* ---- builtin.c ---- */
int builtin_find(const char *name);
const char *builtin_name(int index);
Value builtin_call(Check *c, Scope *s, Builder *b, int index, Node *call);

/* ---- derivative.c: vjp, jvp, divergence ---- */
typedef enum Derivative { DERIVATIVE_vjp, DERIVATIVE_jvp, DERIVATIVE_divergence } Derivative;
/* at: the values of the arguments of the call. Poison after a message. */
Value derivative_of(Check *c, Builder *b, Derivative which, const Value *at, Node *call);
/* The derivative of y with respect to the time along a path: dy/dt + the sum of dy/du u'. */
Val derivative_along(Check *c, Builder *b, const struct Path *path, Val y, Node *call);

/* ---- npy.c ---- */
/* A constant from a file beside the model; poison after a message. */
Value npy_value(Check *c, const char *name, const Node *node);

/* ---- declare.c ---- */
/* One declaration or statement of a body or of the file. */
void declare(Check *c, Scope *s, Builder *b, Node *node);
/* A block: gives the value of its return, poison if there is none. */
bool run_block(Check *c, Scope *s, Builder *b, Node *block, Value *out);
Value call_fn(Check *c, Scope *s, Builder *b, Symbol *fn, Node *call);
Value call_layer(Check *c, Scope *s, Builder *b, const Value *layer, Node *call);
Value make_layer(Check *c, Scope *s, Node *expr, const char *path);
/* Argument i of a call has the name of the argument whose place is `place`: does another value stand there? */
void argument_once(Check *c, const Node *call, int i, int place);
/* Evaluates the arguments of a call in the caller's scope and declares them in the body's. Returns false if one is
 * missing or wrong. arg: [head->n] or NULL. */
bool bind_arguments(Check *c, Scope *s, Builder *b, const char *callee, Node *head, Node *call, Scope *body,
                    Value *arg);
/* The proved method that a tableau block stands for, or NULL after a message. */
const Tableau *method_of(Check *c, Symbol *symbol);

/* ---- equation.c ---- */
void declare_solve(Check *c, Scope *s, Builder *b, Node *node);
Value solve_member(Check *c, Builder *b, const Value *solve, Node *node);
Value series_at(Check *c, Scope *s, Builder *b, const Value *series, Node *call);
/* Result `index` of the solve in the program where it stands; of a state (else -1): in the user's form. */
Val solve_result(Check *c, const SolveInfo *info, int index, int state);
/* A number of a clause as a setting. */
int clause_setting(Check *c, Scope *s, Node *node, const char *name, const char *what);

/* ---- reduce.c, lift.c: a solve in the cheapest exactly equivalent states ---- */
typedef struct Lift { /* of a state: u = z + R s + the sum of z_k w_k; values of the main program */
    bool is_reduced;
    Type type;         /* of what is integrated: s and then w, or u itself */
    Value start, left; /* z [d], L [p, d] (poison: none) */
    Value right, mix;  /* R [d, q], L R [p, q] (poison: none) */
    int n_right;       /* q */
    LIST(int) origin;  /* the states k */
} Lift;
typedef struct Base { /* L z_of, L that of `state` */
    int state, of;
    Value value;
} Base;
typedef struct Reduction {
    int n; /* states */
    Lift *state;
    LIST(Base) base; /* the first arguments of the field */
    Fn *field;       /* (s.., t, base.., p..) -> s'.. */
    Fn *user_field;  /* as written, with its keys */
    Keys user_keys;
} Reduction;
/* Tries to reduce the states of a solve; NULL if none can be or it does not pay, the reasons in `solve`: then *field
 * becomes the one to integrate. keys are those of *field, and become those of the reduced or the new one. */
Reduction *reduce_field(Check *c, Builder *main, Solve *solve, Fn **field, Keys *keys, const Val *start);
/* The z of all reduced states, in b. */
Val *reduce_origin(Check *c, Builder *b, const Reduction *r);
/* u of a state for what is integrated, in b, z being the users' states where that is 0. */
Val reduce_lift(Check *c, Builder *b, const Reduction *r, int state, const Val *z, Val s);
Val reduce_lift_series(Check *c, Builder *b, const Reduction *r, int state, const Val *z, Val s);
/* The same for a rate or an error of a reduced state, which is not shifted. */
Val reduce_lift_rate(Check *c, Builder *b, const Reduction *r, int state, const Val *z, Val x);

/* ---- tolerance.c ---- */
double tolerance_least(const Check *c, const Tolerance *t);
/* For each state of the user a number, or an array of its shape. */
Val *tolerance_values(Check *c, Builder *b, const Solve *s, Tolerance *t);
/* Its least entry as it is set. */
Val tolerance_least_value(Check *c, Builder *b, const Tolerance *t);

/* ---- span.c: spans with a learned bound ---- */
/* Is it a value of the whole batch that is not static? */
bool span_is_learned(const Check *c, const Value *v);
/* The same number, or the same expression over the same values. */
bool span_same_bound(const Value *a, const Value *b);
/* The model's time, and the rate of what is integrated for a rate of the model; clock NULL: they are the same. */
Val span_time(Check *c, Builder *b, const Clock *clock, Val part);
Val span_rate(Check *c, Builder *b, const Clock *clock, Val rate);
/* How long the span is, positive: what step sizes and rates of what is integrated are turned by. */
Val span_unit(Check *c, Builder *b, const Clock *clock);
/* The part of the span at which a time of the model is. */
Val span_part(Check *c, Builder *b, const Clock *clock, Val time);
/* Does a value depend on a parameter? */
bool span_depends(Check *c, const Value *v);
/* The internals of a step by the model's time. */
Internals span_internals(Check *c, Builder *b, const Internals *in);

/* ---- save.c: saved times that are values of the program ---- */
/* A vector of the whole batch that is not static? */
bool save_is_shared(const Check *c, const Value *v);
/* The derivative of the solve's interpolant with respect to the time (dense_rate). */
Fn *save_rate(Check *c, const Solve *s);
/* The series of an integrated state with the gradient that it has for its times, if the solve has rates. */
Val save_series(Check *c, const SolveInfo *info, int state, Val series);

/* ---- step.c: one step of a method as IR ---- */
/* What the change of a field needs to know of where a step starts and what is costly to form there: residuals that a
 * step hands to the next one, which starts where its last stage lies. */
typedef struct Handed {
    int n;
    int *residual;
    Type *type;
} Handed;
typedef struct Problem { /* what a step needs of its solve, in the builder where it stands */
    Solve *solve;
    Fn *field;                  /* (u.., t, p..) -> du.., and further rates that no stage needs */
    const Val *arg;             /* p */
    Val *const *stage_arg;      /* p at each stage, where it differs from stage to stage; or NULL */
    int n_arg;                  /* those that the field takes */
    const Reduction *reduction; /* NULL: the states are the user's */
    const Val *origin;          /* the user's states where the reduced ones are 0 */
    const Val *second;          /* what the method carries beside the state; NULL: it is equal to it */
    const Clock *clock;         /* of a learned span; NULL: t is the model's time */
    const Val *slope;           /* the first slope of the user's states, if it is held: not part of the reduced ones */
    const Handed *handed;       /* NULL: nothing is */
    const Val *start;           /* [handed->n]: the values at the start; NULL: they are formed */
} Problem;
typedef struct Start {    /* where a step begins, for one state each */
    Val *u, *k;           /* of the integrated state: value and first stage derivative */
    Val *user_u, *user_k; /* of the user's */
} Start;
struct Internals {
    const Tableau *method;
    int n_state, n_written, n_measured; /* the first ones: those that quantities see, those in the error norm */
    Val **k, **stage;                   /* [stage][state]; those of the interpolant alone have no values yet */
    Val *u0, *u1;
    Val *err, *err2; /* NULL without an embedded method, without a second one */
    Val *handed;     /* to the next step, if anything is */
    Val t, h;
    const Val *atol, *rtol; /* one number or array for each state */
    const Clock *clock;     /* of the solve */
};
/* Does each sample have its own steps? Then norms are of one sample. */
bool internals_per_sample(const Builder *b, const Internals *in);
void step_field(Check *c, Builder *b, const Problem *p, const Val *u, Val t, Val *du);
/* Stages, new state and error estimate of a step from u with the signed step h; k1 NULL: evaluated here. */
Internals step_internals(Check *c, Builder *b, const Problem *p, const Val *u, const Val *k1, Val t, Val h);
/* sum_j (h w_j) k_j for one state, zero weights left out; NO_VAL if all are zero. */
Val step_weighted(Check *c, Builder *b, Val *const *k, int state, const double *w, int n, Val h);
/* The stages of the interpolant alone. */
void step_more_stages(Check *c, Builder *b, const Problem *p, Internals *in);
/* One norm of two estimates: e^2 / sqrt(e^2 + e2^2 / 100) (Hairer, Norsett & Wanner 1993, II.10): a small e beside a
 * large e2 is chance. */
Val step_both(Check *c, Builder *b, Val e, Val e2);
/* The scaled error norm, 1 = the tolerance: rms(err / (atol + rtol max(|u0|, |u1|))), and of both if there are two. */
Val step_error(Check *c, Builder *b, const Internals *in);
/* x over the tolerance: x / (atol + rtol max(|u0|, |u1|)), for one state. */
Val step_scaled(Check *c, Builder *b, const Internals *in, int state, Val x);
/* Rates or errors of all states, of the user's. */
Val *step_lift_rates(Check *c, Builder *b, const Problem *p, const Val *x);
/* guess.c: the automatic initial step over the signed span, signed. */
Val step_guess(Check *c, Builder *b, const Problem *p, const Start *at, Val t, Val span);
/* The problem as if it started at the user's states u and the time t, and that start. */
Start step_start(Check *c, Builder *b, const Problem *p, const Val *u, Val t, Problem *there);
/* A step from there, in the user's states; held NULL, or their first slope as a constant. */
Internals step_local(Check *c, Builder *b, const Problem *p, const Start *at, const Val *held, Val t, Val h);
/* Can the first slope be held in the reduced form? */
bool step_can_hold(const Problem *p);
/* The state inside a step (dense of a solve); n_dense is known. */
Fn *step_dense(Check *c, const Problem *p, Builder *parent);
/* init, guess, step, step_keep, inverse, dense of a solve. */
typedef struct Terms Terms;
void step_functions(Check *c, const Problem *p, Keys *keys, Builder *parent, Scope *s, const Terms *terms);

/* ---- backwards.c: the adjoint system as a solve of its own ---- */
/* Which operands of a solve, starts and arguments, does some parameter reach, and do they reach the result? Those that
 * the field does not take do not. [n_state + n_arg] */
bool *adjoint_wants(Check *c, const Fn *main, const Fn *field, int n_state, int n_arg, const Val *operand);
/* For a solve in b whose functions and arguments are known: keys, with their values there behind the start values in
 * arg. Nothing for `adjoint discrete`. */
void backwards_build(Check *c, Builder *b, const Problem *p, Keys *keys, const Val *arg);

/* ---- regularize.c ---- */
typedef struct Term { /* one `regularize` clause */
    Node *clause, *quantity, *weight;
    Node *of; /* integral: the state it is of, or NULL */
    bool is_integral;
    int draws; /* 0: global */
    int how;   /* global: 0 sum, 1 mean, 2 max */
    int first; /* first draw, the quantity's index, or the state that is the integral */
    bool is_biased, through_state, at_accepted, holds_slope;
} Term;
struct Terms {
    LIST(Term) at;
};
void regularize_read(Check *c, Scope *s, Solve *solve, Node *clause, Terms *terms);
/* The value of a quantity over one step: a shared scalar, or, where each sample has its own steps, one for each. */
Val regularize_quantity(Check *c, Scope *s, Builder *b, const Internals *in, Node *quantity);
/* What a quantity is made of and where that is evaluated, its arguments bound; an expression is that itself. False
 * after a message. */
bool quantity_open(Check *c, Scope *s, Builder *b, Node *quantity, Node **e, Scope **inner);
/* Adds the weighted terms to the penalties of the program. */
void regularize_add(Check *c, Scope *s, SolveInfo *info, const Problem *p, const Terms *terms);

/* ---- integral.c: quantities that are integrated along the path of a solve, as further states ---- */
typedef struct Path { /* a field under construction: the model's states, their rates, the time */
    int n;
    const Val *u, *du;
    Val t;
} Path;
/* Is the quantity of a clause an integral? */
bool integral_is(Scope *s, const Node *quantity);
/* The rate of the integral of a term, a number of each sample; NO_VAL after a message. inner: the solve block. */
Val integral_rate(Check *c, Scope *inner, Builder *b, const Solve *solve, const Path *path, const Term *term);
/* Its value for the batch, which is positive also where time runs backwards. */
Val integral_value(Check *c, const SolveInfo *info, const Term *term);

/* ---- training.c ---- */
void declare_train(Check *c, Scope *s, Node *node);
int setting_add(Check *c, const char *name, double value, bool is_default, Span span);
/* NAME.1, NAME.2, ..: the index of the first. */
int setting_add_entries(Check *c, const char *name, int n, const double *x, Span span);
void train_hyper(Check *c);

#endif
