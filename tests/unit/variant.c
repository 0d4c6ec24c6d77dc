/* What the machine has, against what the kernel says it has; and which variant is run on which machine. */
#include "variant.h"
#include "nde_feature.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const feature_name[] = {
#define FEATURE(name, macro, word, bit, registers) #name,
    NDE_FEATURES(FEATURE)
#undef FEATURE
        ""};

/* The words behind `flags` (x86) or `Features` (ARM) of the first processor, each between blanks. */
static void read_flags(char *flags, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    ck_assert_ptr_nonnull(f);
    flags[0] = '\0';
    while (fgets(flags, (int)size - 1, f))
        if (!strncmp(flags, "flags", 5) || !strncmp(flags, "Features", 8))
            break;
    fclose(f);
    ck_assert_msg(strchr(flags, '\n') != NULL, "/proc/cpuinfo has no flags, or too many");
    *strchr(flags, '\n') = ' ';
}

START_TEST(features_are_those_of_the_kernel)
{
    static char flags[8192];
    char word[64];
    uint64_t set = nde_machine_features();
    read_flags(flags, sizeof flags);
    for (int i = 0; i < NDE_FEATURE_COUNT; i++) {
        snprintf(word, sizeof word, " %s ", feature_name[i]);
        bool is_there = strstr(flags, word) != NULL;
        ck_assert_msg((set >> i & 1) == is_there, "%s: the kernel says %d", feature_name[i], is_there);
    }
}
END_TEST

START_TEST(this_file_needs_what_this_machine_has)
{
    ck_assert_uint_eq(NDE_NEEDS & ~nde_machine_features(), 0);
}
END_TEST

enum { FIRST = 1, SECOND = 2, THIRD = 4 };
static const NdeModel best = {.isa = "best", .needs = FIRST | SECOND}, middle = {.isa = "middle", .needs = FIRST},
                      least = {.isa = "least"}, exact = {.isa = "least", .needs = THIRD};
static const NdeVariant three[] = {{&best, &least}, {&middle, &least}, {&least, &least}};

static const char *chosen(int n, const NdeVariant *variant, const char *wanted, uint64_t machine, NdeError *e)
{
    const NdeVariant *v = nde_variant_choose(n, variant, wanted, machine, e);
    return v ? v->model->isa : "none";
}

START_TEST(the_best_that_the_machine_can_run)
{
    NdeError e = {0};
    ck_assert_str_eq(chosen(3, three, NULL, FIRST | SECOND | THIRD, &e), "best");
    ck_assert_str_eq(chosen(3, three, NULL, SECOND, &e), "least");
    ck_assert_str_eq(chosen(3, three, NULL, FIRST, &e), "middle");
    ck_assert_str_eq(chosen(3, three, "least", FIRST | SECOND, &e), "least");
    ck_assert_str_eq(chosen(3, three, "middle", FIRST | SECOND, &e), "middle");
}
END_TEST

START_TEST(what_cannot_be_run_is_said)
{
    NdeError e = {0};
    ck_assert_str_eq(chosen(3, three, "v9", FIRST | SECOND, &e), "none");
    ck_assert_int_eq(e.exit_code, NDE_EXIT_FILE);
    ck_assert_ptr_nonnull(strstr(e.text, "'v9'"));
    ck_assert_ptr_nonnull(strstr(e.text, "best, middle, least"));
    ck_assert_str_eq(chosen(3, three, "best", FIRST, &e), "none");
    ck_assert_int_eq(e.exit_code, NDE_EXIT_FILE);
    if (NDE_FEATURE_COUNT > 2)
        ck_assert_ptr_nonnull(strstr(e.text, feature_name[1]));
    ck_assert_str_eq(chosen(1, three, NULL, SECOND, &e), "none");
    ck_assert_int_eq(e.exit_code, NDE_EXIT_FILE);
    if (NDE_FEATURE_COUNT > 2)
        ck_assert_ptr_nonnull(strstr(e.text, feature_name[0]));
}
END_TEST

/* Both halves of a program must run. */
START_TEST(the_float64_half_counts)
{
    const NdeVariant one = {&middle, &exact};
    NdeError e = {0};
    ck_assert_str_eq(chosen(1, &one, NULL, FIRST, &e), "none");
    ck_assert_str_eq(chosen(1, &one, NULL, FIRST | THIRD, &e), "middle");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("variant");
    TCase *tc = tcase_create("variant");
    tcase_add_test(tc, features_are_those_of_the_kernel);
    tcase_add_test(tc, this_file_needs_what_this_machine_has);
    tcase_add_test(tc, the_best_that_the_machine_can_run);
    tcase_add_test(tc, what_cannot_be_run_is_said);
    tcase_add_test(tc, the_float64_half_counts);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
