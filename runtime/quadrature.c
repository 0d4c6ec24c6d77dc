/* quadrature.c: gradients of arguments as integrals over the steps of an adjoint system, by the rule of Gauss and
 * Kronrod with 7 and 15 nodes (Kronrod 1965; numbers: QUADPACK, Piessens et al. 1983, qk15).
 *
 * Needs: an accepted step with its d.., the path of the solve. Gives: the integral of `rate` added to its results; a
 * part of a step whose two rules differ by more than the tolerance is halved. Elsewhere: the loop over steps (solve.c,
 * backward.c). */
#include "run.h"

#include <math.h>

enum { NODES = 8 /* of one half of the interval, the middle last */, MOST_HALVINGS = 12 };

static const double node[NODES] = {0.991455371120812639206854697526329, 0.949107912342758524526189684047851,
                                   0.864864423359769072789712788640926, 0.741531185599394439863864773280788,
                                   0.586087235467691130294144384029236, 0.405845151377397166906606412076961,
                                   0.207784955007898467600689403773245, 0};
static const double kronrod[NODES] = {0.022935322010529224963732008058970, 0.063092092629978553290700663189204,
                                      0.104790010322250183839876322541518, 0.140653259715525918745189590510238,
                                      0.169004726639267902826583426598550, 0.190350578064785409913256402421014,
                                      0.204432940075298892414161999234649, 0.209482141084727828012999174891714};
static const double gauss[NODES] = {0, 0.129484966168869693270611432679082, 0, 0.279705391489276667901467771423780,
                                    0, 0.381830050505118944950369775488975, 0, 0.417959183673469387755102040816327};

/* rate at a fraction of the step, to the first of the three. */
static int rate_at(NdeEngine *e, NdeFlow *f, double theta)
{
    const NdeSolve *s = f->solve, *of = f->path->of->solve;
    int k = 0, status = nde_dense_at(e, f, f->tape.n, f->dense, theta, f->spare);
    double t = f->t + theta * f->h;
    if (!status)
        status = nde_path_state(e, f->path, t, f->extra_in + 1);
    if (status)
        return status;
    for (int i = 0; i < s->n_state; i++)
        f->call_in[k++] = f->spare[i];
    f->call_in[k++] = (NdeRef){&t, 0};
    for (int i = 0; i < of->n_state; i++)
        f->call_in[k++] = f->extra_in[1 + i];
    for (int i = 0; i < s->n_arg; i++)
        f->call_in[k++] = f->step_in[nde_first_arg(s) + i];
    f->evaluations++;
    return nde_frame_run(e, s->rate, f->call_in, f->rate[0]);
}

static int add_node(NdeEngine *e, NdeFlow *f, double theta, double w_kronrod, double w_gauss)
{
    const NdeFn *rate = f->solve->rate;
    int status = rate_at(e, f, theta);
    for (int i = 0; !status && i < rate->n_out; i++) {
        nde_value_add_times(e, rate->out[i], f->rate[1][i], w_kronrod, f->rate[0][i]);
        if (w_gauss != 0)
            nde_value_add_times(e, rate->out[i], f->rate[2][i], w_gauss, f->rate[0][i]);
    }
    return status;
}

/* The difference of the two rules over the tolerance, as the error of a step. rate[2] becomes the difference. */
static double difference(NdeEngine *e, NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    double atol = nde_tolerance_least(e, s->set_atol, s->n_atol) * *(const double *)f->extra_in[0].at;
    double rtol = nde_tolerance_least(e, s->set_rtol, s->n_rtol);
    double sum = 0, count = 0;
    for (int i = 0; i < s->rate->n_out; i++) {
        NdeValue v = s->rate->out[i];
        nde_value_add_times(e, v, f->rate[2][i], -1, f->rate[1][i]);
        for (int sample = 0; sample < (v.is_batched ? e->count : 1); sample++)
            for (int k = 0; k < v.n; k++) {
                double before = nde_value_get(e, v, f->total[i], sample, k);
                double after = before + nde_value_get(e, v, f->rate[1][i], sample, k);
                double scale = atol + rtol * fmax(fabs(before), fabs(after));
                double x = nde_value_get(e, v, f->rate[2][i], sample, k) / scale;
                sum += x * x;
                count++;
            }
    }
    return count > 0 ? sqrt(sum / count) : 0;
}

/* Over fractions from .. to of the step. */
static int integrate(NdeEngine *e, NdeFlow *f, double from, double to, int halvings)
{
    const NdeFn *rate = f->solve->rate;
    double middle = 0.5 * (from + to), half = 0.5 * (to - from);
    for (int i = 0; i < rate->n_out; i++) {
        nde_value_zero(e, rate->out[i], f->rate[1][i]);
        nde_value_zero(e, rate->out[i], f->rate[2][i]);
    }
    for (int k = 0; k < NODES; k++)
        for (int side = -1; side <= (node[k] > 0 ? 1 : -1); side += 2) {
            double w = half * f->h;
            int status = add_node(e, f, middle + side * half * node[k], w * kronrod[k], w * gauss[k]);
            if (status)
                return status;
        }
    if (halvings < MOST_HALVINGS && difference(e, f) > 1) {
        int status = integrate(e, f, from, middle, halvings + 1);
        return status ? status : integrate(e, f, middle, to, halvings + 1);
    }
    for (int i = 0; i < rate->n_out; i++)
        nde_value_add(e, rate->out[i], f->total[i], f->rate[1][i]);
    return 0;
}

int nde_path_quadrature(NdeEngine *e, NdeFlow *f)
{
    return f->solve->rate->n_out > 0 ? integrate(e, f, 0, 1, 0) : 0;
}
