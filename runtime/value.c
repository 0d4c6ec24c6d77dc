/* value.c: shared and per-sample values of any size: where they lie, copied, added, read.
 *
 * Needs: the engine's tiles. Gives: what the loops over steps do with states and cotangents.
 * Elsewhere: all arithmetic of the model, which is generated. */
#include "run.h"

#include <string.h>

static size_t tile_count(const NdeEngine *e, NdeValue v)
{
    return (size_t)v.n * (size_t)e->model->tile;
}

size_t nde_value_bytes(const NdeEngine *e, NdeValue v)
{
    if (v.is_batched)
        return (size_t)e->tiles * tile_count(e, v) * sizeof(Real);
    return v.n == 1 ? sizeof(double) : (size_t)v.n * sizeof(Real);
}

NdeRef nde_value_ref(const NdeEngine *e, NdeValue v, void *at)
{
    return (NdeRef){at, v.is_batched ? tile_count(e, v) * sizeof(Real) : 0};
}

static Real *tile_at(NdeRef ref, int tile)
{
    return (Real *)(void *)((char *)ref.at + (size_t)tile * ref.step);
}

static size_t shared_bytes(NdeValue v)
{
    return v.n == 1 ? sizeof(double) : (size_t)v.n * sizeof(Real);
}

void nde_value_zero(const NdeEngine *e, NdeValue v, NdeRef to)
{
    if (!v.is_batched) {
        memset(to.at, 0, shared_bytes(v));
        return;
    }
    for (int k = 0; k < e->run.n_tile; k++)
        memset(tile_at(to, k), 0, tile_count(e, v) * sizeof(Real));
}

void nde_value_copy(const NdeEngine *e, NdeValue v, NdeRef to, NdeRef from)
{
    if (!v.is_batched) {
        memcpy(to.at, from.at, shared_bytes(v));
        return;
    }
    for (int k = 0; k < e->run.n_tile; k++)
        memcpy(tile_at(to, k), tile_at(from, k), tile_count(e, v) * sizeof(Real));
}

void nde_value_add_times(const NdeEngine *e, NdeValue v, NdeRef to, double times, NdeRef from)
{
    if (!v.is_batched && v.n == 1) {
        *(double *)to.at += times * *(const double *)from.at;
        return;
    }
    int tiles = v.is_batched ? e->run.n_tile : 1;
    size_t n = v.is_batched ? tile_count(e, v) : (size_t)v.n;
    for (int k = 0; k < tiles; k++) {
        Real *a = tile_at(to, k);
        const Real *b = tile_at(from, k);
        for (size_t i = 0; i < n; i++)
            a[i] += (Real)times * b[i];
    }
}

void nde_value_add(const NdeEngine *e, NdeValue v, NdeRef to, NdeRef from)
{
    nde_value_add_times(e, v, to, 1, from);
}

double nde_value_squares(const NdeEngine *e, NdeValue v, NdeRef from)
{
    double sum = 0;
    for (int sample = 0; sample < (v.is_batched ? e->count : 1); sample++)
        for (int i = 0; i < v.n; i++) {
            double x = nde_value_get(e, v, from, sample, i);
            sum += x * x;
        }
    return sum;
}

double nde_value_get(const NdeEngine *e, NdeValue v, NdeRef from, int sample, int i)
{
    int tile = e->model->tile;
    if (v.is_batched)
        return (double)tile_at(from, sample / tile)[(size_t)i * (size_t)tile + (size_t)(sample % tile)];
    return v.n == 1 ? *(const double *)from.at : (double)((const Real *)from.at)[i];
}
