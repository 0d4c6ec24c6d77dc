/* sgemm.c: the time of OpenBLAS for a layer of n to n units over a batch of m samples: sgemm N M prints the least of
 * several milliseconds of one product. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[1]) : 512, m = argc > 2 ? atoi(argv[2]) : 512;
    size_t size = (size_t)n * (size_t)n, wide = (size_t)n * (size_t)m;
    float *w = malloc(size * sizeof *w), *x = malloc(wide * sizeof *x), *y = malloc(wide * sizeof *y);
    if (!w || !x || !y)
        return 1;
    for (size_t i = 0; i < size; i++)
        w[i] = (float)(i % 17) / 17 - 0.5f;
    for (size_t i = 0; i < wide; i++)
        x[i] = (float)(i % 23) / 23 - 0.5f;
    double best = 1e9;
    for (int k = 0; k < 40; k++) {
        double t = seconds_now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, m, n, 1, w, n, x, m, 0, y, m);
        t = seconds_now() - t;
        best = t < best ? t : best;
    }
    printf("%.6f %g\n", 1e3 * best, (double)y[0]);
    return 0;
}
