/* model.h: a checked file: its tables and its programs. What the checker gives and the emitter prints. */
#ifndef NDEC_MODEL_H
#define NDEC_MODEL_H

#include "ast.h"
#include "ir.h"

typedef struct Param {
    const char *path; /* field.hidden.W */
    Type type;
    const char *init; /* row of init.def; "array" with init_array */
    double init_arg[2];
    const double *init_array;
    int fan_in, fan_out;
    bool is_frozen;
    Span span;
} Param;

typedef struct Setting {
    const char *name; /* flow.tolerance.rel, train.optimizer.1 */
    double value;
    bool is_default; /* not written in the file: `explain` lists it */
    Span span;
} Setting;

typedef struct DataField {
    const char *name;
    bool is_class;
    int classes;
    Type type; /* batched; a class is a scalar */
    Span span;
} DataField;

typedef struct SampleField {
    const char *name, *distribution;
    double arg[2];
    Type type;
    Span span;
} SampleField;

typedef struct DataSource {
    const char *kind;
    LIST(const char *) files;
    int rows;
    int set_scale;
} DataSource;

typedef struct Train {
    LIST(DataSource) data;
    LIST(DataSource) test;
    int set_steps, set_batch, set_split, set_evaluate, set_clip, set_patience, set_seed;
    const char *optimizer;
    int n_hyper;
    Span span;
} Train;

typedef LIST(Node *) Clauses;

/* How a file is compiled. no_reduce keeps every solve in the user's state, no_difference forms every error estimate
 * from the stages themselves. */
typedef struct Choices {
    bool no_reduce, no_difference;
    bool no_regularize; /* `regularize` clauses are not read */
    bool is_compared;   /* a setting, `regularize`, is a factor of all regularisers: the losses can be compared alone */
    bool only_check;    /* messages alone: the programs are not made, for they cannot fail any more */
    Clauses clauses;    /* of the command line: each in place of that clause of every solve */
} Choices;

typedef struct Model {
    const char *name; /* C identifier from the file's name */
    const Source *source;
    Choices choices;
    bool is_double;
    LIST(Param) params;
    LIST(Setting) settings;
    LIST(DataField) data;
    LIST(SampleField) samples;
    LIST(const char *) metric_names;
    LIST(const char *) output_names;
    Train *train_block;        /* NULL without one */
    const struct Model *exact; /* the same without differences: what float64 code is made of; itself if it has none */
    Fn *train, *eval, *predict, *hyper; /* see NdeModel in runtime/nde.h; NULL if the file has none */
    Module *module;
} Model;

/* check.c: the file's meaning, with all programs lowered, differentiated and canonical. NULL after reporting errors.
 * `prelude` holds parsed FILE nodes. */
Model *model_check(Arena *a, Diags *d, Node *const *prelude, int n_prelude, Node *file, const Choices *choices);

/* emit.c: the C file. is_double: the number type to emit for (the model's own, or float64 for check-gradient). */
void emit_model(Text *out, const Model *model, bool is_double, bool with_main);
/* emit_name.c: a text as a C string literal. */
const char *emit_string(Arena *a, const char *s, size_t n);

#endif
