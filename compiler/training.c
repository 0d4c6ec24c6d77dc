/* training.c: the train block: sources of data, settings, the optimiser and its numbers.
 *
 * Needs: the rows of runtime/optim.def.  Gives: model->train_block; `hyper`, the program of the optimiser's numbers.
 * Elsewhere: reading the data and the loop over steps (runtime/). */
#include "checker.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *hyper; /* "rate=-1,beta1=0.9,": -1: it must be given */
} optimizers[] = {
#define HYPER(name, otherwise, below) #name "=" #otherwise ","
#define OPTIM(name, n_state, hyper, ...) {#name, hyper},
#include "../runtime/optim.def"
#undef OPTIM
#undef HYPER
};
enum { N_OPTIMIZER = sizeof optimizers / sizeof *optimizers };

int setting_add(Check *c, const char *name, double value, bool is_default, Span span)
{
    for (int i = 0; i < c->model->settings.n; i++)
        if (str_eq(c->model->settings.at[i].name, name))
            return i;
    list_push(c->arena, c->model->settings, ((Setting){name, value, is_default, span}));
    return c->model->settings.n - 1;
}

int setting_add_entries(Check *c, const char *name, int n, const double *x, Span span)
{
    int before = c->model->settings.n;
    int first = setting_add(c, str_format(c->arena, "%s.1", name), x[0], false, span);
    for (int i = 1; i < n && first == before; i++)
        list_push(c->arena, c->model->settings,
                  ((Setting){str_format(c->arena, "%s.%d", name, i + 1), x[i], false, span}));
    return first;
}

/* ---- sources ---- */
static Node *given(Node *call, const char *name)
{
    for (int i = 1; i < call->n; i++)
        if (call->kid[i]->kind == NODE_GIVEN && str_eq(call->kid[i]->text, name))
            return call->kid[i]->kid[0];
    return NULL;
}

/* key: data, data2, ..: the settings of each source have names of their own. */
static void read_option(Check *c, Scope *s, Node *at, const char *key, DataSource *source)
{
    long rows;
    if (str_eq(at->text, "scale"))
        source->set_scale = clause_setting(c, s, at->kid[0], str_format(c->arena, "train.%s.scale", key), "a scale");
    else if (str_eq(at->text, "rows") && str_eq(source->kind, "csv")) {
        if (!eval_int(c, s, at->kid[0], "a number of rows", &rows))
            return;
        if (rows < 1 || rows > INT_MAX)
            DIAG_AT(c->diags, SIZE_RANGE, at->kid[0]->span, rows);
        else
            source->rows = (int)rows;
    } else
        DIAG_AT(c->diags, NO_SUCH_ARGUMENT, at->span, source->kind, at->text);
}

static bool read_source(Check *c, Scope *s, Node *call, const char *clause, const char *key, DataSource *source)
{
    static const char *const kinds[] = {"idx", "csv", "npy", "npz", "records"};
    *source = (DataSource){.rows = 1, .set_scale = -1};
    for (int i = 0; i < 5 && call->kind == NODE_CALL && call->kid[0]->kind == NODE_NAME; i++)
        if (str_eq(call->kid[0]->text, kinds[i]))
            source->kind = kinds[i];
    if (!source->kind) {
        DIAG_AT(c->diags, CLAUSE_VALUE, call->span, clause, str_format(c->arena, "%s csv(\"file.csv\")", clause));
        return false;
    }
    bool bad = false;
    for (int i = 1; i < call->n; i++) {
        Node *at = call->kid[i];
        if (at->kind == NODE_STRING)
            list_push(c->arena, source->files, at->text);
        else if (at->kind == NODE_GIVEN)
            read_option(c, s, at, key, source);
        else {
            DIAG_AT(c->diags, FILE_NAME, at->span, source->kind);
            bad = true;
        }
    }
    if (source->files.n == 0 && !bad)
        DIAG_AT(c->diags, FILE_NAME, call->span, source->kind);
    return source->files.n > 0;
}

static void read_sources(Check *c, Scope *s, Node *clause)
{
    Train *t = c->model->train_block;
    int n = 0;
    if (clause->n == 0)
        DIAG_AT(c->diags, CLAUSE_VALUE, clause->span, clause->text,
                str_format(c->arena, "%s csv(\"file.csv\")", clause->text));
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++) {
            DataSource source;
            const char *key = n++ ? str_format(c->arena, "%s%d", clause->text, n) : clause->text;
            if (!read_source(c, s, clause->kid[g]->kid[i], clause->text, key, &source))
                continue;
            if (str_eq(clause->text, "data"))
                list_push(c->arena, t->data, source);
            else
                list_push(c->arena, t->test, source);
        }
}

/* ---- numbers ---- */
static void read_number(Check *c, Scope *s, Node *clause, int *set, bool is_whole)
{
    Node *at = clause->n && clause->kid[0]->n ? clause->kid[0]->kid[0] : NULL;
    if (at && at->kind == NODE_WORD) /* evaluate every 500 */
        at = at->n ? at->kid[0] : NULL;
    if (!at) {
        const char *example = is_whole ? "500" : "0.8";
        DIAG_AT(c->diags, CLAUSE_VALUE, clause->span, clause->text,
                str_format(c->arena, "%s %s", clause->text, example));
        return;
    }
    *set = clause_setting(c, s, at, str_format(c->arena, "train.%s", clause->text), clause->text);
    if (*set < 0)
        return;
    double x = c->model->settings.at[*set].value;
    if (is_whole && (x != floor(x) || x > 0x1p53)) /* above, doubles have gaps */
        DIAG_AT(c->diags, NOT_WHOLE, at->span, clause->text);
    if (x < 0 || (x == 0 && !str_eq(clause->text, "seed")))
        DIAG_AT(c->diags, NOT_POSITIVE, at->span, num_text(c->arena, x, false));
    if (str_eq(clause->text, "split") && x >= 1)
        DIAG_PLAIN(c->diags, SPLIT, at->span);
}

/* ---- the optimiser ---- */
/* Entry k of "rate=-1,beta1=0.9,": its name, and its value through *value; NULL behind the last. */
static const char *hyper_entry(Arena *a, const char *list, int k, double *value)
{
    const char *at = list;
    while (k-- > 0) {
        at = strchr(at, ',');
        if (!at)
            return NULL;
        at++;
    }
    size_t n = strcspn(at, "=");
    if (n == 0)
        return NULL;
    *value = strtod(at + n + 1, NULL);
    return str_copy(a, at, n);
}

static Node *optimizer_argument(Node *call, int k, const char *name)
{
    if (k + 1 < call->n && call->kid[k + 1]->kind != NODE_GIVEN)
        return call->kid[k + 1];
    return given(call, name);
}

static Val hyper_value(Check *c, Builder *b, Node *call, int k, const char *name, double preset)
{
    const char *key = str_format(c->arena, "train.optimizer.%s", name);
    Node *e = call ? optimizer_argument(call, k, name) : NULL;
    if (!e && preset < 0) {
        if (call)
            DIAG_AT(c->diags, ARGUMENT_MISSING, call->span, c->model->train_block->optimizer, name);
        preset = 0.001;
    }
    if (!e) {
        Value v = {.kind = VALUE_setting, .index = setting_add(c, key, preset, true, c->model->train_block->span)};
        return build_val(c, b, &v);
    }
    Val v = eval_settings(c, c->file, b, e, key, "a number of the optimizer");
    return v == NO_VAL ? fn_const(c->module, b->fn, 0) : v;
}

static int find_optimizer(Check *c, Node *call)
{
    Node *name = call->kind == NODE_CALL ? call->kid[0] : call;
    const char *list[N_OPTIMIZER];
    for (int i = 0; i < N_OPTIMIZER; i++) {
        if (name->kind == NODE_NAME && str_eq(name->text, optimizers[i].name))
            return i;
        list[i] = optimizers[i].name;
    }
    DIAG_AT(c->diags, NO_OPTIMIZER, name->span, str_list(c->arena, list, N_OPTIMIZER, ", "));
    const char *near = name->kind == NODE_NAME ? str_nearest(name->text, list, N_OPTIMIZER) : NULL;
    if (near)
        diag_help(c->diags, "did you mean '%s'?", near);
    return -1;
}

void train_hyper(Check *c)
{
    Train *t = c->model->train_block;
    if (!t)
        return;
    Node *call = c->optimizer && c->optimizer->kind == NODE_CALL ? c->optimizer : NULL;
    int row = 0;
    for (int i = 0; i < N_OPTIMIZER && !c->optimizer; i++)
        if (str_eq(optimizers[i].name, "adam"))
            row = i;
    if (c->optimizer && (row = find_optimizer(c, c->optimizer)) < 0)
        return;
    t->optimizer = optimizers[row].name;
    Builder *b = build_new(c, "hyper", t->span, NULL, NULL);
    const char *name;
    double preset = 0;
    for (t->n_hyper = 0; (name = hyper_entry(c->arena, optimizers[row].hyper, t->n_hyper, &preset)); t->n_hyper++)
        fn_out(c->module, b->fn, hyper_value(c, b, call, t->n_hyper, name, preset), name);
    for (int i = 1; call && i < call->n; i++) {
        bool known = call->kid[i]->kind != NODE_GIVEN && i <= t->n_hyper;
        for (int k = 0; !known && k < t->n_hyper; k++) {
            known = call->kid[i]->kind == NODE_GIVEN &&
                    str_eq(call->kid[i]->text, hyper_entry(c->arena, optimizers[row].hyper, k, &preset));
            if (known)
                argument_once(c, call, i, k + 1);
        }
        if (!known)
            DIAG_AT(c->diags, NO_SUCH_ARGUMENT, call->kid[i]->span, t->optimizer,
                    call->kid[i]->text ? call->kid[i]->text : "another number");
    }
    b->fn->note = "the numbers of the optimiser";
    c->model->hyper = build_finish(c, b);
}

/* ---- the block ---- */
static bool has_clause(const Node *block, const char *name)
{
    for (int i = 0; i < block->n; i++)
        if (block->kid[i]->kind == NODE_CLAUSE && str_eq(block->kid[i]->text, name))
            return true;
    return false;
}

void declare_train(Check *c, Scope *s, Node *node)
{
    Train *t = ARENA_NEW(c->arena, Train, 1);
    t->span = node->span;
    t->set_steps = t->set_batch = t->set_split = t->set_evaluate = t->set_clip = t->set_patience = t->set_seed = -1;
    const struct {
        const char *name;
        int *set;
        bool is_whole;
    } row[] = {{"steps", &t->set_steps, true},  {"batch", &t->set_batch, true},
               {"split", &t->set_split, false}, {"evaluate", &t->set_evaluate, true},
               {"clip", &t->set_clip, false},   {"patience", &t->set_patience, true},
               {"seed", &t->set_seed, true}};
    if (c->model->train_block && !c->training)
        return; /* read in the first walk */
    if (c->model->train_block)
        DIAG_PLAIN(c->diags, TRAIN_TWICE, node->span);
    c->model->train_block = t;
    c->optimizer = NULL;
    for (int i = 0; i < node->n; i++) {
        Node *at = node->kid[i];
        if (at->kind != NODE_CLAUSE)
            continue;
        if (str_eq(at->text, "data") || str_eq(at->text, "test"))
            read_sources(c, s, at);
        if (str_eq(at->text, "optimizer") && at->n && at->kid[0]->n)
            c->optimizer = at->kid[0]->kid[0];
        else if (str_eq(at->text, "optimizer"))
            DIAG_AT(c->diags, CLAUSE_VALUE, at->span, at->text, "optimizer adam(0.001)");
        for (size_t r = 0; r < sizeof row / sizeof *row; r++)
            if (str_eq(at->text, row[r].name))
                read_number(c, s, at, row[r].set, row[r].is_whole);
    }
    if (!has_clause(node, "steps"))
        DIAG_AT(c->diags, TRAIN_NEEDS, node->span, "steps", "steps 1000");
    if (!has_clause(node, "data"))
        DIAG_AT(c->diags, TRAIN_NEEDS, node->span, "data", "data csv(\"file.csv\")");
    if (t->set_batch < 0)
        t->set_batch = setting_add(c, "train.batch", 32, true, node->span);
    if (t->set_seed < 0)
        t->set_seed = setting_add(c, "train.seed", 0, true, node->span);
}
