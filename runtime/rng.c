/* rng.c: Philox4x32-10 and what is drawn from it.
 *
 * Needs: nothing. Gives: rng.h. Elsewhere: which stream means what (the callers). */
#include "rng.h"

#include <math.h>

/* Salmon et al. 2011, section 3 and table 2: two 32 x 32 -> 64 bit products a round, keys by Weyl sequences (the golden
 * ratio and sqrt(3) - 1). */
void nde_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xD2511F53u * x0;
        uint64_t q = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(q >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)q;
        x2 = (uint32_t)(p >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

/* Two words of 64 bits for each place. */
static void draw(uint64_t seed, uint64_t stream, uint64_t index, uint64_t out[2])
{
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t word[4];
    nde_philox(counter, key, word);
    out[0] = (uint64_t)word[1] << 32 | word[0];
    out[1] = (uint64_t)word[3] << 32 | word[2];
}

static double unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

uint64_t nde_random_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t word[2];
    draw(seed, stream, index, word);
    return word[0];
}

double nde_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return unit(nde_random_bits(seed, stream, index));
}

/* Box & Muller 1958, the cosine half only: one number for one index costs a sine, and keeps every draw independent of
 * its neighbours. 1 - u lies in (0, 1], so the logarithm is finite. */
double nde_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    const double two_pi = 6.283185307179586;
    uint64_t word[2];
    draw(seed, stream, index, word);
    return sqrt(-2 * log(1 - unit(word[0]))) * cos(two_pi * unit(word[1]));
}

double nde_random_sign(uint64_t seed, uint64_t stream, uint64_t index)
{
    return nde_random_bits(seed, stream, index) >> 63 ? 1 : -1;
}

/* Fisher & Yates, from the end (Durstenfeld 1964). u (i + 1) rounds to less than i + 1 for every u <= 1 - 2^-53: the
 * distance to i + 1 is at least half of the spacing of doubles below it, and exact where it is half. */
void nde_permutation(uint64_t seed, uint64_t epoch, long n, long *out)
{
    const uint64_t stream = (uint64_t)0x53 << 56 | (epoch & 0x00FFFFFFFFFFFFFFu);
    for (long i = 0; i < n; i++)
        out[i] = i;
    for (long i = n - 1; i > 0; i--) {
        long j = (long)(nde_random_uniform(seed, stream, (uint64_t)i) * (double)(i + 1));
        long swap = out[i];
        out[i] = out[j];
        out[j] = swap;
    }
}
