/* control.c: the controllers of control.def.
 *
 * Needs: scaled error norms, 1 being exactly the tolerance. Gives: factors for the step size.
 * Elsewhere: limits of the step and the loop (solve.c). */
#include "control.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const NdeControl control[] = {
#define CONTROL(id, kind, b1, b2, b3, safety, least, most, again, floor, stretch, what) \
    {#id, kind, b1, b2, b3, safety, least, most, again, floor, stretch, what},
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

void nde_control_begin(NdeController *c, const NdeControl *row, int order, int embedded)
{
    int lower = embedded < order ? embedded : order;
    *c = (NdeController){row, row->kind == NDE_ORDER ? order : lower + 1, {row->floor, row->floor}, false};
}

double nde_control_factor(NdeController *c, double err)
{
    const NdeControl *r = c->row;
    if (!isfinite(err)) {
        c->is_after_rejection = true;
        return r->least;
    }
    double now = pow(err, -r->b1 / c->k);
    if (err > 1) {
        c->is_after_rejection = true;
        return fmin(1, fmax(r->least, r->safety * now));
    }
    double most = c->is_after_rejection ? r->again : r->most;
    double factor = most; /* pow(0, -b) is infinite: an error of exactly 0 asks for the most */
    if (err > 0)
        factor = r->safety * now * pow(c->before[0], r->b2 / c->k) * pow(c->before[1], -r->b3 / c->k);
    c->before[1] = c->before[0];
    c->before[0] = fmax(err, r->floor);
    c->is_after_rejection = false;
    return fmin(most, fmax(r->least, factor));
}
