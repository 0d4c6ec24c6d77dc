/* explain.c: parameters, costs, memory and settings of a model, as text.
 *
 * Needs: a checked model and its plan.  Elsewhere: the plan itself (plan.c). */
#include "explain.h"

#include "latency.h"
#include "plan.h"

#include <string.h>

void explain_operators(FILE *to)
{
    for (int i = 0; i < OP_COUNT; i++)
        if (op_info[i].op_class == CLASS_map)
            fprintf(to, "%-10s %d  %-45s derivative: %s\n", op_info[i].name, op_info[i].n_arg, op_info[i].what,
                    op_info[i].rule);
}

static void parameters(Arena *a, const Model *m, FILE *to)
{
    long total = 0;
    fprintf(to, "parameters\n");
    for (int i = 0; i < m->params.n; i++) {
        const Param *p = &m->params.at[i];
        total += type_size(p->type);
        fprintf(to, "  %-28s %-18s %s%s\n", p->path, type_text(a, p->type), p->init, p->is_frozen ? ", frozen" : "");
    }
    fprintf(to, "  %ld numbers in all, in float%d\n", total, m->is_double ? 64 : 32);
}

/* A number as people write it: 1.2 k, 3.4 M. */
static const char *human(Arena *a, double x)
{
    static const char *const unit[] = {"", " k", " M", " G", " T"};
    int i = 0;
    for (; x >= 1000 && i < 4; i++)
        x /= 1000;
    return str_format(a, x < 10 && i ? "%.2f%s" : "%.4g%s", x, unit[i]);
}

static double fn_flops(const Plan *plan, const Fn *fn, int n_set)
{
    const PlanFn *f = fn ? plan_find(plan, fn, n_set) : NULL;
    return f ? f->flops : 0;
}

static double step_flops(const Plan *plan, const Solve *s)
{
    const Fn *step = s->saves_dense ? s->step_keep : s->step;
    return fn_flops(plan, step, step->out.n);
}

/* The cubic of a method without an interpolant has order 3. */
static int dense_order(const Tableau *t)
{
    return t->degree ? t->interpolant_order : 3;
}

static const char *embedded_orders(Arena *a, const Tableau *t)
{
    return t->second ? str_format(a, "%d and %d", t->embedded, t->second) : str_format(a, "%d", t->embedded);
}

static void method_costs(Arena *a, const Tableau *t, bool saves_dense, FILE *to)
{
    fprintf(to, "  %s: order %d, %s, %d stages, %d evaluations a step%s\n", t->name, t->order,
            t->e ? str_format(a, "embedded order %s", embedded_orders(a, t)) : "no error estimate", t->stages,
            tableau_evaluations(t),
            t->fsal    ? " (the last is the first of the next)"
            : t->slope ? " (the first is carried)"
                       : "");
    if (saves_dense)
        fprintf(to, "  saved times: an interpolant of order %d, %d evaluations more a step\n", dense_order(t),
                tableau_dense_evaluations(t));
}

/* The reverse by an adjoint system, whose steps are its own. */
static void adjoint_costs(Arena *a, const Plan *plan, const Solve *s, FILE *to)
{
    int numbers = 0;
    for (int j = 0; j < s->n_state; j++)
        numbers += type_size(s->state_type[j]);
    fprintf(to, "  %s: %d numbers; %s operations a step and sample\n", s->name, numbers, human(a, step_flops(plan, s)));
}

/* What the tape keeps of all steps, and how much that may be. */
static void bound_costs(Arena *a, const Model *m, const Solve *s, FILE *to)
{
    bool is_list = s->is_per_sample && s->set_memory < 0;
    if (s->is_per_sample)
        fprintf(to, "  each sample has its own steps%s\n", is_list ? ", and a list of the states at their ends" : "");
    if (is_list)
        return;
    if (s->adjoint == ADJOINT_backsolve)
        fprintf(to, "  no tape: the reverse solves the states backwards too\n");
    else if (adjoint_is_continuous(s->adjoint))
        fprintf(to, "  no bound of the tape: all states, and up to 1 GiB of stage derivatives\n");
    else if (s->set_memory < 0)
        fprintf(to, "  no bound of the tape: all states, and up to 1 GiB of what else the reverse reads\n");
    else
        fprintf(to, "  the tape takes at most %s %s: what does not fit is formed again in the reverse\n",
                num_text(a, m->settings.at[s->set_memory].value, false),
                s->bound_is_slots ? "checkpoints, and both ends of a step" : "MiB");
}

static void solve_costs(Arena *a, const Model *m, const Plan *plan, const Solve *s, FILE *to)
{
    const Tableau *t = s->method;
    int state = 0, kept = 0, residual = 0;
    const SolveVjp *v = plan_vjp_of(m, s);
    const bool *is_read = plan_read_back(a, s, v);
    for (int j = 0; j < s->n_state; j++)
        state += type_size(s->state_type[j]);
    for (int j = 0; j < s->n_state + s->n_carry; j++) /* the first inputs of a step */
        kept += is_read[j] ? type_size(fn_type(s->step, (Val)j)) : 0;
    for (int j = 0; v && j < v->n_residual; j++)
        residual += type_size(fn_type(v->record, v->record->out.at[v->record->out.n - 1 - j]));
    int bytes = m->is_double ? 8 : 4;
    fprintf(to, "solve %s\n", s->name);
    method_costs(a, t, s->saves_dense, to);
    fprintf(to, "  %s operations a step and sample\n", human(a, step_flops(plan, s)));
    if (s->is_learned)
        fprintf(to, "  the span is learned: steps are parts of it, and its bounds have gradients\n");
    if (s->reduction)
        fprintf(to, "  reduction: %s\n", s->reduction);
    for (int j = 0; s->state_reduction && j < s->n_state; j++)
        fprintf(to, "    %s: %s\n", s->state_name[j], s->state_reduction[j]);
    fprintf(to, "  error estimates %s\n",
            s->has_differences ? "from differences of the stages, for float32 at this tolerance" : "from the stages");
    if (s->inverse) {
        fprintf(to, "  %d numbers of state; the reverse undoes the steps: no state is kept", state);
        fprintf(to, s->set_fixed < 0 ? ", only times, 24 bytes a step\n" : "\n");
        return;
    }
    if (s->n_tangent) {
        fprintf(to, "  %d numbers of state, tangents along %d numbers included; only times are kept, 24 bytes a step\n",
                state, s->n_direction);
        return;
    }
    fprintf(to, "  %d numbers of state; the tape keeps %d bytes a step and sample", state,
            s->adjoint == ADJOINT_backsolve ? 0 : bytes * kept);
    if (residual)
        fprintf(to, ", and %d that are formed again%s", bytes * residual,
                s->is_per_sample ? "" : " where memory is short");
    fprintf(to, "\n");
    bound_costs(a, m, s, to);
    if (s->backward)
        adjoint_costs(a, plan, s->backward->solve, to);
}

/* ---- methods ---- */
static void method(Arena *a, const Tableau *t, FILE *to)
{
    int more = tableau_dense_evaluations(t);
    fprintf(to, "%-15s %5d   %-8s %11d   order %d%s%s\n", t->name, t->order, t->e ? embedded_orders(a, t) : "-",
            tableau_evaluations(t), dense_order(t), more ? str_format(a, ", %d more", more) : "",
            t->is_reversible ? "; steps can be undone" : "");
}

void explain_methods(Arena *a, Diags *d, const Node *file, FILE *to)
{
    for (int i = 0; i < file->n; i++) {
        const Tableau *t = file->kid[i]->kind == NODE_TABLEAU ? tableau_check(a, d, file->kid[i], NULL, NULL) : NULL;
        if (t)
            method(a, t, to);
    }
}

/* Training and evaluation have a solve each of the same name; the last is that of evaluations. */
static void latency_form(const Model *m, const char *name, FILE *to)
{
    const char *refusal = NULL;
    for (int i = 0; i < m->module->solves.n; i++)
        if (str_eq(m->module->solves.at[i]->name, name))
            refusal = latency_of(m, m->module->solves.at[i]).refusal;
    fprintf(to, "  one sample alone: %s%s\n", refusal ? "solved as a batch; " : "all steps are one function",
            refusal ? refusal : "");
}

/* Numbers that a top-level function keeps: for each sample between its parts, shared, and summed in each group. */
typedef struct Memory {
    double kept, shared, sums;
} Memory;

static Memory memory_of(const PlanFn *f)
{
    Memory m = {0, f->spare, 0};
    for (int i = 0; i < f->packs.n; i++)
        m.shared += plan_size(f, f->packs.at[i].weights);
    for (int v = 0; v < f->fn->ins.n; v++) {
        if (f->place[v].where == WHERE_kept)
            m.kept += plan_size(f, (Val)v);
        if (f->place[v].where == WHERE_shared)
            m.shared += plan_size(f, (Val)v);
        if (f->root[v] == (Val)v)
            m.sums += plan_size(f, (Val)v);
    }
    return m;
}

static double setting_value(const Model *m, int index, double otherwise)
{
    return index < 0 ? otherwise : m->settings.at[index].value;
}

/* Bytes for batches of the size in the train block, on one thread; tiles of 16 samples in float32 and 8 in float64.
 */
static void programs(Arena *a, const Model *model, const Plan *plan, FILE *to)
{
    int bytes = model->is_double ? 8 : 4, tile = model->is_double ? 8 : 16, groups;
    double batch = model->train_block ? setting_value(model, model->train_block->set_batch, 32) : 1, total = 0,
           work = 0;
    double tiles = (double)(long)((batch + tile - 1) / tile);
    groups = tiles < 8 ? (int)tiles : 8;
    fprintf(to, "programs and parts of solves\n");
    for (int i = 0; i < plan->fns.n; i++) {
        const PlanFn *f = plan->fns.at[i];
        if (f->kind != FN_top)
            continue;
        Memory m = memory_of(f);
        double scratch = bytes * ((double)f->rows * tile + f->reals);
        total += bytes * (m.kept * tiles * tile + m.shared + m.sums * groups);
        work = scratch > work ? scratch : work;
        fprintf(to, "  %-24s %10s operations a sample, %8s kept a sample, %8s scratch\n", f->fn->name,
                human(a, f->flops), str_format(a, "%sB", human(a, bytes * m.kept)),
                str_format(a, "%sB", human(a, scratch)));
    }
    fprintf(to, "  workspace for a batch of %g: about %sB, and %sB a thread\n", batch, human(a, total), human(a, work));
}

static void settings(Arena *a, const Model *m, FILE *to)
{
    fprintf(to, "settings (each can be changed with --set NAME=VALUE)\n");
    for (int i = 0; i < m->settings.n; i++) {
        const Setting *s = &m->settings.at[i];
        const char *dot = strrchr(s->name, '.');
        if (strstr(s->name, ".save.") && !str_eq(dot, ".1"))
            continue; /* a vector of times: the first stands for all */
        fprintf(to, "  %-32s %-12s%s\n", s->name, num_text(a, s->value, false), s->is_default ? " (default)" : "");
    }
}

/* Training and evaluation have a Solve each of the same name. */
static bool is_first(const Model *m, int i)
{
    for (int j = 0; j < i; j++)
        if (str_eq(m->module->solves.at[j]->name, m->module->solves.at[i]->name))
            return false;
    return true;
}

static void choices(const Model *m, FILE *to)
{
    fprintf(to, "choices\n");
    for (int i = 0; i < m->module->solves.n; i++) {
        const Solve *s = m->module->solves.at[i];
        if (!is_first(m, i) || s->n_extra)
            continue;
        fprintf(to, "  %s.controller %s, batching %s, adjoint %s, initial step %s\n", s->name, s->controller,
                s->is_per_sample ? "sample" : "joint", adjoint_name[s->adjoint],
                s->is_initial_warm    ? "warm"
                : s->set_initial >= 0 ? "given"
                                      : "auto");
    }
    if (m->train_block)
        fprintf(to, "  optimizer %s\n", m->train_block->optimizer);
}

void explain_model(Arena *a, const Model *model, FILE *to)
{
    const Plan *plan = plan_build(model);
    parameters(a, model, to);
    for (int i = 0; i < model->module->solves.n; i++)
        if (is_first(model, i) && !model->module->solves.at[i]->n_extra) {
            solve_costs(a, model, plan, model->module->solves.at[i], to);
            latency_form(model, model->module->solves.at[i]->name, to);
        }
    programs(a, model, plan, to);
    choices(model, to);
    settings(a, model, to);
}
