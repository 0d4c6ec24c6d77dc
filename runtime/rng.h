/* rng.h: random numbers that depend only on where they are asked for.
 *
 * Owns: Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as
 * 1, 2, 3"). Every draw is a function of (seed, stream, index): there is no state, so the order of asking and the
 * number of threads do not matter. Different streams of one seed are independent. Streams whose highest byte is 0x53
 * belong to nde_permutation; all others are the caller's. */
#ifndef NDE_RNG_H
#define NDE_RNG_H

#include <stdint.h>

/* The bijection itself: four counter words under a key of two. */
void nde_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* 64 random bits. */
uint64_t nde_random_bits(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, 1): a multiple of 2^-53. */
double nde_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Standard normal, |x| < 8.6. */
double nde_random_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* +1 or -1. */
double nde_random_sign(uint64_t seed, uint64_t stream, uint64_t index);

/* out[0 .. n - 1] becomes a permutation of 0 .. n - 1, its own for each (seed, epoch). 0 <= n < 2^53. */
void nde_permutation(uint64_t seed, uint64_t epoch, long n, long *out);

#endif
