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

/* to = from, += times from, or 0 without a `from`: in pieces, by the threads of the run. */
typedef struct Move {
    NdeRef to, from;
    size_t n; /* Reals of a tile */
    int tiles;
    bool adds;
    Real times;
} Move;

static void move_tile(const Move *m, int tile)
{
    Real *to = tile_at(m->to, tile);
    const Real *from = m->from.at ? tile_at(m->from, tile) : NULL, times = m->times;
    const size_t n = m->n;
    if (!from)
        memset(to, 0, n * sizeof *to);
    else if (!m->adds)
        memcpy(to, from, n * sizeof *to);
    else
        for (size_t i = 0; i < n; i++)
            to[i] += times * from[i];
}

static void move_piece(void *context, int item, int n)
{
    const Move *m = context;
    for (int k = (int)((long)m->tiles * item / n); k < (int)((long)m->tiles * (item + 1) / n); k++)
        move_tile(m, k);
}

static void move(NdeEngine *e, NdeValue v, Move m)
{
    static const double as_flops = 4; /* of a number that is moved */
    m.n = v.is_batched ? tile_count(e, v) : (size_t)v.n;
    m.tiles = v.is_batched ? e->run.n_tile : 1;
    nde_share(&e->run, m.tiles > 1 ? as_flops * (double)m.n * m.tiles : 0, move_piece, &m);
}

/* A shared number is a double. */
static bool is_double(NdeValue v)
{
    return !v.is_batched && v.n == 1;
}

void nde_tiles_move(NdeValue v, NdeRef to, NdeRef from, const NdeEngine *e, int first, int behind)
{
    const Move m = {.to = to, .from = from, .n = tile_count(e, v)};
    for (int k = first; k < behind; k++)
        move_tile(&m, k);
}

void nde_tiles_add(NdeValue v, NdeRef to, NdeRef from, const NdeEngine *e, int first, int behind)
{
    const Move m = {.to = to, .from = from, .n = tile_count(e, v), .adds = true, .times = 1};
    for (int k = first; k < behind; k++)
        move_tile(&m, k);
}

void nde_value_zero(NdeEngine *e, NdeValue v, NdeRef to)
{
    if (is_double(v))
        *(double *)to.at = 0;
    else
        move(e, v, (Move){.to = to});
}

void nde_value_copy(NdeEngine *e, NdeValue v, NdeRef to, NdeRef from)
{
    if (is_double(v))
        *(double *)to.at = *(const double *)from.at;
    else
        move(e, v, (Move){.to = to, .from = from});
}

void nde_value_add_times(NdeEngine *e, NdeValue v, NdeRef to, double times, NdeRef from)
{
    if (is_double(v))
        *(double *)to.at += times * *(const double *)from.at;
    else
        move(e, v, (Move){.to = to, .from = from, .adds = true, .times = (Real)times});
}

void nde_value_add(NdeEngine *e, NdeValue v, NdeRef to, NdeRef from)
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
