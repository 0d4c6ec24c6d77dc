/* param.c: parameters: their first values, and their way to and from files.
 *
 * Needs: the table of parameters. Gives: a flat block of Reals. A first value depends on the seed, the parameter's
 * place in the table and the element, on nothing else. Elsewhere: how they change (optim.c), what else a checkpoint
 * holds (checkpoint.c). */
#include "param.h"

#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- first values ---- */

typedef struct Element { /* what a first value may depend on */
    double a, b, fan_in, fan_out;
    uint64_t seed, stream, i;
} Element;

#define UNIFORM nde_random_uniform(el->seed, el->stream, el->i)
#define NORMAL nde_random_normal(el->seed, el->stream, el->i)
#define INIT(id, numbers, is_orthogonal, value, what)                                  \
    static double first_##id(const Element *el)                                        \
    {                                                                                  \
        const double a = el->a, b = el->b, fan_in = el->fan_in, fan_out = el->fan_out; \
        (void)a, (void)b, (void)fan_in, (void)fan_out;                                 \
        return value;                                                                  \
    }
#include "init.def"
#undef INIT

typedef struct Init {
    const char *name;
    bool is_orthogonal;
    double (*first)(const Element *el);
} Init;

static const Init init[] = {
#define INIT(id, numbers, is_orthogonal, value, what) {#id, is_orthogonal, first_##id},
#include "init.def"
#undef INIT
};

/* Makes `count` vectors of n numbers orthonormal, modified Gram-Schmidt run twice (Giraud, Langou & Rozloznik 2005:
 * twice is enough). Number j of vector i is at i * across + j * along. */
static void orthonormalise(double *at, int count, int n, size_t across, size_t along)
{
    for (int i = 0; i < count; i++) {
        double *v = at + (size_t)i * across, norm = 0;
        for (int k = 0; k < 2 * i; k++) {
            const double *w = at + (size_t)(k % i) * across;
            double dot = 0;
            for (int j = 0; j < n; j++)
                dot += v[(size_t)j * along] * w[(size_t)j * along];
            for (int j = 0; j < n; j++)
                v[(size_t)j * along] -= dot * w[(size_t)j * along];
        }
        for (int j = 0; j < n; j++)
            norm += v[(size_t)j * along] * v[(size_t)j * along];
        norm = norm > 0 ? sqrt(norm) : 1;
        for (int j = 0; j < n; j++)
            v[(size_t)j * along] /= norm;
    }
}

static int fill(const NdeParam *p, const Init *row, uint64_t seed, uint64_t stream, Real *to, NdeError *e)
{
    double *value = nde_allocate((size_t)p->n, sizeof *value, e);
    if (!value)
        return e->exit_code;
    Element el = {p->init_arg[0], p->init_arg[1], p->fan_in, p->fan_out, seed, stream, 0};
    for (; el.i < (uint64_t)p->n; el.i++)
        value[el.i] = row->first(&el);
    if (row->is_orthogonal && p->rank > 0 && p->dim[0] > 0) {
        int rows = p->dim[0], columns = p->n / rows;
        if (rows <= columns)
            orthonormalise(value, rows, columns, (size_t)columns, 1);
        else
            orthonormalise(value, columns, rows, 1, (size_t)columns);
    }
    for (int i = 0; i < p->n; i++)
        to[i] = (Real)value[i];
    free(value);
    return 0;
}

int nde_param_init(const NdeModel *m, uint64_t seed, Real *to, NdeError *e)
{
    for (int k = 0; k < m->n_param; k++) {
        const NdeParam *p = &m->param[k];
        if (p->init_array) {
            for (int i = 0; i < p->n; i++)
                to[p->offset + (size_t)i] = (Real)p->init_array[i];
            continue;
        }
        const Init *row = NULL;
        for (size_t i = 0; i < sizeof init / sizeof *init; i++)
            if (!strcmp(init[i].name, p->init))
                row = &init[i];
        if (!row)
            return nde_fail(e, NDE_EXIT_MEMORY, "there is no initialiser '%s' (parameter '%s')", p->init, p->name);
        int status = fill(p, row, seed, nde_stream(NDE_STREAM_INIT, 0, k), to + p->offset, e);
        if (status)
            return status;
    }
    return 0;
}

/* ---- files ---- */

NdeTensor nde_param_tensor(const NdeParam *p, const char *name, const Real *from)
{
    NdeTensor t = {.name = name, .type = sizeof(Real) == 8 ? NDE_F64 : NDE_F32, .rank = p->rank};
    for (int i = 0; i < p->rank; i++)
        t.dim[i] = p->dim[i];
    t.value = from + p->offset;
    return t;
}

int nde_param_save(const NdeModel *m, const char *path, const Real *from, NdeError *e)
{
    NdeTensor *tensor = nde_allocate((size_t)m->n_param, sizeof *tensor, e);
    if (!tensor)
        return e->exit_code;
    for (int i = 0; i < m->n_param; i++)
        tensor[i] = nde_param_tensor(&m->param[i], m->param[i].name, from);
    NdePair pair[] = {{"model", m->name}, {"compiler", m->compiler}};
    NdeTensors all = {.tensor = tensor, .n = m->n_param, .pair = pair, .n_pair = 2};
    int status = nde_tensors_write(path, &all, e);
    free(tensor);
    return status;
}

static bool has_shape(const NdeTensor *t, const NdeParam *p)
{
    if (t->rank != p->rank)
        return false;
    for (int i = 0; i < p->rank; i++)
        if (t->dim[i] != p->dim[i])
            return false;
    return true;
}

static void param_shape(const NdeParam *p, char *out, size_t size)
{
    long dim[4] = {p->dim[0], p->dim[1], p->dim[2], p->dim[3]};
    nde_shape_text(p->rank, dim, out, size);
}

static int fetch_one(const NdeParam *p, const NdeTensor *t, const char *what, Real *to, NdeError *e)
{
    if (!has_shape(t, p)) {
        char wanted[80], given[80];
        param_shape(p, wanted, sizeof wanted);
        nde_shape_text(t->rank, t->dim, given, sizeof given);
        return nde_fail(e, NDE_EXIT_DATA,
                        "%s: '%s' is %s, but this model's is %s: these are the weights of another model", what, t->name,
                        given, wanted);
    }
    double *value = nde_allocate((size_t)p->n, sizeof *value, e);
    if (!value)
        return e->exit_code;
    nde_tensor_get(t, value);
    for (int i = 0; i < p->n; i++)
        to[p->offset + (size_t)i] = (Real)value[i];
    free(value);
    return 0;
}

int nde_param_fetch(const NdeModel *m, const NdeTensors *tensors, const char *prefix, const char *what, Real *to,
                    NdeError *e)
{
    for (int i = 0; i < m->n_param; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s%s", prefix, m->param[i].name);
        const NdeTensor *t = nde_tensors_find(tensors, name);
        if (!t)
            return nde_fail(e, NDE_EXIT_DATA, "%s has no '%s': it is not of this model", what, name);
        int status = fetch_one(&m->param[i], t, what, to, e);
        if (status)
            return status;
    }
    return 0;
}

int nde_param_finite(const NdeModel *m, const Real *from, const char *what, NdeError *e)
{
    for (int k = 0; k < m->n_param; k++)
        for (int i = 0; i < m->param[k].n; i++)
            if (!isfinite(from[m->param[k].offset + (size_t)i]))
                return nde_fail(e, NDE_EXIT_DATA, "%s: '%s' is not finite in entry %d%s", what, m->param[k].name, i,
                                sizeof(Real) == 4 ? ", or too large for float32" : "");
    return 0;
}

static bool is_param(const NdeModel *m, const char *name)
{
    for (int i = 0; i < m->n_param; i++)
        if (!strcmp(m->param[i].name, name))
            return true;
    return false;
}

int nde_param_load(const NdeModel *m, const char *path, Real *to, NdeError *e)
{
    NdeTensors tensors = {0};
    int status = nde_tensors_read(path, &tensors, e);
    if (status)
        return status;
    status = nde_param_fetch(m, &tensors, "", path, to, e);
    for (int i = 0; !status && i < tensors.n; i++)
        if (!is_param(m, tensors.tensor[i].name))
            status = nde_fail(e, NDE_EXIT_DATA,
                              "%s has '%s', which this model has not: these are the weights of another model", path,
                              tensors.tensor[i].name);
    nde_tensors_free(&tensors);
    return status ? status : nde_param_finite(m, to, path, e);
}
