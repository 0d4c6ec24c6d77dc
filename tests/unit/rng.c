/* rng.c: the generator gives the published numbers, and what is drawn from it has the right distribution.
 *
 * Needs: nothing. Gives: nonzero if a test fails. */
#include "../../runtime/rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

/* The three rows "philox4x32 10" of tests/kat_vectors of Random123, the authors' own library (Salmon et al. 2011): four
 * words of counter, two of key, four of result. */
static const uint32_t known[3][10] = {
    {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
    {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
     0x6d5451fd},
    {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
     0x24126ea1},
};

START_TEST(philox_gives_the_known_answers)
{
    const uint32_t *row = known[_i];
    uint32_t out[4];
    nde_philox(row, row + 4, out);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(out[i], row[6 + i]);
}
END_TEST

START_TEST(every_part_of_the_place_matters)
{
    const uint64_t at[3] = {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88}; /* the third known answer */
    ck_assert_uint_eq(nde_random_bits(at[0], at[1], at[2]), 0x94fdccebd16cfe09);
    for (int bit = 0; bit < 64; bit++) {
        uint64_t other = (uint64_t)1 << bit;
        ck_assert_uint_ne(nde_random_bits(at[0] ^ other, at[1], at[2]), 0x94fdccebd16cfe09);
        ck_assert_uint_ne(nde_random_bits(at[0], at[1] ^ other, at[2]), 0x94fdccebd16cfe09);
        ck_assert_uint_ne(nde_random_bits(at[0], at[1], at[2] ^ other), 0x94fdccebd16cfe09);
    }
}
END_TEST

enum { N = 200000 };

START_TEST(uniform_fills_the_unit_interval)
{
    int bin[16] = {0};
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = nde_random_uniform(1, 2, i);
        ck_assert(u >= 0 && u < 1);
        ck_assert(u * 0x1p53 == floor(u * 0x1p53));
        bin[(int)(u * 16)]++;
        sum += u;
        squares += u * u;
    }
    /* Five standard deviations: of the mean sqrt(1/12N), of the mean square sqrt(4/45N), of a bin sqrt(15N)/16. */
    ck_assert(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    ck_assert(fabs(squares / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    for (int i = 0; i < 16; i++)
        ck_assert(fabs(bin[i] - N / 16.0) < 5 * sqrt(15.0 * N) / 16);
}
END_TEST

START_TEST(normal_has_the_moments_and_tails_of_a_normal)
{
    double moment[5] = {0}, product = 0;
    int beyond_two = 0;
    for (uint64_t i = 0; i < N; i++) {
        double x = nde_random_normal(7, 3, i), power = 1;
        for (int k = 1; k <= 4; k++)
            moment[k] += (power *= x) / N;
        product += x * nde_random_normal(7, 4, i) / N;
        beyond_two += fabs(x) > 2;
    }
    /* Variances of the moments of a normal: 1, 2, 15, 96; P(|x| > 2) = 0.0455003. */
    ck_assert(fabs(moment[1]) < 5 * sqrt(1.0 / N));
    ck_assert(fabs(moment[2] - 1) < 5 * sqrt(2.0 / N));
    ck_assert(fabs(moment[3]) < 5 * sqrt(15.0 / N));
    ck_assert(fabs(moment[4] - 3) < 5 * sqrt(96.0 / N));
    ck_assert(fabs(product) < 5 * sqrt(1.0 / N)); /* streams are independent */
    ck_assert(fabs(beyond_two - 0.0455003 * N) < 5 * sqrt(0.0455003 * N));
}
END_TEST

START_TEST(signs_are_balanced)
{
    double sum = 0;
    for (uint64_t i = 0; i < N; i++) {
        double x = nde_random_sign(5, 0, i);
        ck_assert(x == 1 || x == -1);
        sum += x;
    }
    ck_assert(fabs(sum) < 5 * sqrt((double)N));
}
END_TEST

START_TEST(the_order_of_asking_does_not_matter)
{
    double forward[100];
    for (int i = 0; i < 100; i++)
        forward[i] = nde_random_normal(11, 12, (uint64_t)i);
    for (int i = 99; i >= 0; i--)
        ck_assert(nde_random_normal(11, 12, (uint64_t)i) == forward[i]);
}
END_TEST

START_TEST(a_permutation_has_everything_once)
{
    enum { M = 1000 };
    long a[M], b[M], fixed = 0, same = 0;
    int seen[M] = {0};
    nde_permutation(1, 1, M, a);
    nde_permutation(1, 2, M, b);
    for (int i = 0; i < M; i++) {
        ck_assert(a[i] >= 0 && a[i] < M);
        seen[a[i]]++;
        fixed += a[i] == i;
        same += a[i] == b[i];
    }
    for (int i = 0; i < M; i++)
        ck_assert_int_eq(seen[i], 1);
    ck_assert_int_lt(fixed, 10); /* one is expected */
    ck_assert_int_lt(same, 10);
    nde_permutation(1, 1, M, b);
    ck_assert_mem_eq(a, b, sizeof a);
    nde_permutation(1, 1, 0, b);
    nde_permutation(1, 1, 1, b);
    ck_assert_int_eq(b[0], 0);
}
END_TEST

START_TEST(all_permutations_are_as_likely)
{
    int count[3][3] = {{0}};
    for (uint64_t epoch = 0; epoch < 12000; epoch++) {
        long p[3];
        nde_permutation(3, epoch, 3, p);
        count[p[0]][p[1]]++;
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            ck_assert(i == j ? count[i][j] == 0 : fabs(count[i][j] - 2000.0) < 5 * sqrt(12000 * 5.0 / 36));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("rng");
    tcase_add_loop_test(t, philox_gives_the_known_answers, 0, 3);
    tcase_add_test(t, every_part_of_the_place_matters);
    tcase_add_test(t, uniform_fills_the_unit_interval);
    tcase_add_test(t, normal_has_the_moments_and_tails_of_a_normal);
    tcase_add_test(t, signs_are_balanced);
    tcase_add_test(t, the_order_of_asking_does_not_matter);
    tcase_add_test(t, a_permutation_has_everything_once);
    tcase_add_test(t, all_permutations_are_as_likely);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
