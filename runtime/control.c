/* control.c: the controllers of control.def.
 *
 * Needs: scaled error norms, 1 being exactly the tolerance. Gives: factors for the step size.
 * Elsewhere: limits of the step and the loop (solve.c). */
#include "control.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const NdeControl control[] = {
#define CONTROL(id, ...) {#id, __VA_ARGS__},
#include "control.def"
#undef CONTROL
};

const NdeControl *nde_control_find(const char *name)
{
    for (size_t i = 0; i < sizeof control / sizeof *control; i++)
        if (!strcmp(control[i].name, name))
            return &control[i];
    return NULL;
}

/* Soderlind (2003): with gains p, i, d the logarithm of a factor is -(i e + p (e - e1) + d (e - 2 e1 + e2)) / K, and e
 * that of the error. */
NdeControl nde_control_pid(double p, double i, double d)
{
    NdeControl row = *nde_control_find("pid");
    row.b1 = p + i + d;
    row.b2 = p + 2 * d;
    row.b3 = d;
    return row;
}

void nde_control_begin(NdeController *c, const NdeControl *row, int order, int embedded)
{
    int lower = embedded < order ? embedded : order;
    *c = (NdeController){
        .row = row, .safety = row->safety, .before = {log2(row->start), log2(row->start)}, .floor = log2(row->floor)};
    c->k = row->kind == NDE_ORDER ? order : lower + 1;
}

/* gain log2(one / other); 0 where there is no such size yet. */
static double of_ratio(double gain, double one, double other)
{
    return gain != 0 && one > 0 && other > 0 ? gain * log2(one / other) : 0;
}

static void reject(NdeController *c)
{
    if (!c->is_after_rejection)
        c->safety = nde_larger(c->row->lowest, c->safety * c->row->caution);
    c->is_after_rejection = true;
}

double nde_control_factor(NdeController *c, double err, double h)
{
    const NdeControl *r = c->row;
    if (!isfinite(err)) {
        reject(c);
        return r->least;
    }
    double e = log2(err); /* of an error of exactly 0 minus infinity, which asks for the most */
    if (err > 1) {
        reject(c);
        return nde_smaller(1, nde_larger(r->least, c->safety * exp2(-r->b0 / c->k * e)));
    }
    double most = c->is_after_rejection ? r->again : r->most, factor = most;
    c->safety = nde_smaller(r->safety, c->safety * r->trust);
    if (err > 0)
        factor = c->safety * exp2((r->b2 * c->before[0] - r->b1 * e - r->b3 * c->before[1]) / c->k -
                                  of_ratio(r->a1, fabs(h), c->size[0]) - of_ratio(r->a2, c->size[0], c->size[1]));
    c->size[1] = c->size[0];
    c->size[0] = fabs(h);
    c->before[1] = c->before[0];
    c->before[0] = nde_larger(e, c->floor);
    c->is_after_rejection = false;
    return nde_smaller(most, nde_larger(r->least, factor));
}
