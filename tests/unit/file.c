/* file.c: whole files in and out, folders, names with `*`.
 *
 * Needs: a folder for scratch files, /dev/full. Gives: nonzero if a test fails. */
#include "../../runtime/io.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char dir[64];
static NdeError e;

/* A name in the scratch folder; four at a time. */
static const char *in_dir(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *to = fopen(in_dir(name), "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
}

static void assert_holds(const char *name, const char *text)
{
    NdeBytes b;
    ck_assert_msg(nde_file_read(in_dir(name), &b, &e) == 0, "%s", e.text);
    ck_assert_uint_eq(b.n, strlen(text));
    ck_assert_int_eq(memcmp(b.at, text, b.n + 1), 0); /* with the NUL behind it */
    free(b.at);
}

static int entries(const char *path)
{
    int n = 0;
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n - 2;
}

/* One member of gzip. Gives its bytes in out. */
static size_t gzip(const char *text, unsigned char *out, size_t room)
{
    z_stream z = {0};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)strlen(text);
    z.next_out = out;
    z.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

START_TEST(a_file_is_read_whole)
{
    put("plain", "one\ntwo", 7);
    put("empty", "", 0);
    assert_holds("plain", "one\ntwo");
    assert_holds("empty", "");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_named)
{
    NdeBytes b;
    ck_assert_int_eq(nde_file_read(in_dir("nowhere"), &b, &e), 2);
    ck_assert_ptr_nonnull(strstr(e.text, "nowhere"));
    ck_assert_ptr_null(b.at);
    ck_assert_int_eq(nde_file_read(dir, &b, &e), 2);
    ck_assert_ptr_nonnull(strstr(e.text, "folder"));
}
END_TEST

START_TEST(gzip_is_known_by_its_content)
{
    unsigned char bytes[400];
    size_t n = gzip("first ", bytes, sizeof bytes);
    put("packed", bytes, n);
    assert_holds("packed", "first ");
    n += gzip("second", bytes + n, sizeof bytes - n);
    put("alone.gz", bytes, n);
    assert_holds("alone.gz", "first second");
    assert_holds("alone", "first second"); /* found with .gz */
}
END_TEST

START_TEST(long_runs_of_gzip_are_read)
{
    char *text = malloc(1000001);
    unsigned char *bytes = malloc(20000);
    memset(text, 'a', 1000000);
    text[1000000] = '\0';
    size_t n = gzip(text, bytes, 20000);
    put("run", bytes, n);
    assert_holds("run", text);
    free(text);
    free(bytes);
}
END_TEST

START_TEST(cut_or_damaged_gzip_is_refused)
{
    unsigned char bytes[400];
    size_t n = gzip("the quick brown fox jumps over the lazy dog", bytes, sizeof bytes);
    NdeBytes b;
    for (size_t k = 2; k < n; k++) {
        put("cut", bytes, k);
        ck_assert_msg(nde_file_read(in_dir("cut"), &b, &e) == 4, "%zu of %zu bytes were accepted", k, n);
        ck_assert_ptr_nonnull(strstr(e.text, "cut"));
    }
    bytes[n - 6] ^= 1; /* of the checksum */
    put("damaged", bytes, n);
    ck_assert_int_eq(nde_file_read(in_dir("damaged"), &b, &e), 4);
    bytes[n - 6] ^= 1;
    memcpy(bytes + n, "junk", 4);
    put("longer", bytes, n + 4);
    ck_assert_int_eq(nde_file_read(in_dir("longer"), &b, &e), 4);
}
END_TEST

START_TEST(a_file_appears_when_it_is_complete)
{
    put("old", "old", 3);
    int before = entries(dir);
    NdeFile *f = nde_file_create(in_dir("old"), &e);
    ck_assert_msg(f != NULL, "%s", e.text);
    fputs("new text", nde_file_stream(f));
    fflush(nde_file_stream(f));
    assert_holds("old", "old");
    ck_assert_int_eq(nde_file_commit(f, &e), 0);
    assert_holds("old", "new text");
    f = nde_file_create(in_dir("old"), &e);
    fputs("never", nde_file_stream(f));
    nde_file_abort(f);
    assert_holds("old", "new text");
    ck_assert_int_eq(entries(dir), before);
}
END_TEST

START_TEST(permissions_and_links_stay)
{
    struct stat about;
    put("target", "a", 1);
    chmod(in_dir("target"), 0640);
    ck_assert_int_eq(symlink("target", in_dir("link")), 0);
    NdeFile *f = nde_file_create(in_dir("link"), &e);
    fputs("b", nde_file_stream(f));
    ck_assert_int_eq(nde_file_commit(f, &e), 0);
    assert_holds("target", "b");
    ck_assert_int_eq(lstat(in_dir("link"), &about), 0);
    ck_assert(S_ISLNK(about.st_mode));
    ck_assert_int_eq(stat(in_dir("target"), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0640);
}
END_TEST

START_TEST(two_writers_do_not_mix)
{
    NdeFile *a = nde_file_create(in_dir("both"), &e), *b = nde_file_create(in_dir("both"), &e);
    ck_assert(a && b);
    fputs("aaaa", nde_file_stream(a));
    fputs("bb", nde_file_stream(b));
    ck_assert_int_eq(nde_file_commit(a, &e), 0);
    assert_holds("both", "aaaa");
    ck_assert_int_eq(nde_file_commit(b, &e), 0);
    assert_holds("both", "bb");
}
END_TEST

START_TEST(a_full_disk_keeps_the_old_file)
{
    NdeFile *f = nde_file_create("/dev/full", &e);
    ck_assert_ptr_nonnull(f);
    fputs("x", nde_file_stream(f));
    ck_assert_int_eq(nde_file_commit(f, &e), 2);
    ck_assert_ptr_nonnull(strstr(e.text, "No space"));

    struct rlimit old, small = {4096, RLIM_INFINITY};
    put("kept", "kept", 4);
    int before = entries(dir);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    f = nde_file_create(in_dir("kept"), &e);
    for (int i = 0; i < 3000; i++)
        fputs("longer ", nde_file_stream(f));
    int status = nde_file_commit(f, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(status, 2);
    ck_assert_ptr_nonnull(strstr(e.text, "kept"));
    assert_holds("kept", "kept");
    ck_assert_int_eq(entries(dir), before);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_named)
{
    ck_assert_ptr_null(nde_file_create(in_dir("no/such/folder"), &e));
    ck_assert_int_eq(e.exit_code, 2);
    ck_assert_ptr_nonnull(strstr(e.text, "no/such/folder"));
    ck_assert_ptr_null(nde_file_create(dir, &e));
    ck_assert_ptr_nonnull(strstr(e.text, "folder"));
}
END_TEST

START_TEST(folders_are_made_with_those_above)
{
    struct stat about;
    for (int twice = 0; twice < 2; twice++)
        ck_assert_int_eq(nde_folder_make(in_dir("a/b//c/"), &e), 0);
    ck_assert_int_eq(stat(in_dir("a/b/c"), &about), 0);
    ck_assert(S_ISDIR(about.st_mode));
    put("file", "", 0);
    ck_assert_int_eq(nde_folder_make(in_dir("file/x"), &e), 2);
    ck_assert_ptr_nonnull(strstr(e.text, "file"));
}
END_TEST

START_TEST(runs_are_numbered_and_never_reused)
{
    char out[300], base[100];
    snprintf(base, sizeof base, "%s", in_dir("deep/runs"));
    ck_assert_int_eq(nde_new_run_dir(base, out, sizeof out, &e), 0);
    ck_assert_str_eq(out, in_dir("deep/runs/0001"));
    ck_assert_int_eq(nde_folder_make(in_dir("deep/runs/0007"), &e), 0);
    ck_assert_int_eq(nde_folder_make(in_dir("deep/runs/99x"), &e), 0);
    ck_assert_int_eq(nde_new_run_dir(base, out, sizeof out, &e), 0);
    ck_assert_str_eq(out, in_dir("deep/runs/0008"));
    ck_assert_int_eq(nde_new_run_dir(base, out, 5, &e), 2);
}
END_TEST

START_TEST(stars_match_in_the_order_of_bytes)
{
    NdePaths p;
    const char *const name[] = {"s_b", "s_B", "s_10", "s_9", "s_[1]"};
    for (int i = 0; i < 5; i++)
        put(name[i], "", 0);
    ck_assert_int_eq(nde_paths_find(in_dir("s_*"), &p, &e), 0);
    const char *const sorted[] = {"s_10", "s_9", "s_B", "s_[1]", "s_b"};
    ck_assert_int_eq(p.n, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(p.at[i], in_dir(sorted[i]));
    nde_paths_free(&p);
    ck_assert_int_eq(nde_paths_find(in_dir("*[1]"), &p, &e), 0); /* only the star is special */
    ck_assert_int_eq(p.n, 1);
    ck_assert_str_eq(p.at[0], in_dir("s_[1]"));
    nde_paths_free(&p);
    ck_assert_int_eq(nde_paths_find("not/there", &p, &e), 0); /* stands for itself */
    ck_assert_str_eq(p.at[0], "not/there");
    nde_paths_free(&p);
    ck_assert_int_eq(nde_paths_find(in_dir("none*"), &p, &e), 2);
    ck_assert_ptr_nonnull(strstr(e.text, "none*"));
}
END_TEST

START_TEST(messages_are_cut_and_clean)
{
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "\x1b[31m\n", 6);
    ck_assert_int_eq(nde_fail(&e, 4, "%s", text), 4);
    ck_assert_int_eq(e.exit_code, 4);
    ck_assert_uint_eq(strlen(e.text), sizeof e.text - 1);
    ck_assert_int_eq(strncmp(e.text, "?[31m\nx", 7), 0);
}
END_TEST

START_TEST(no_memory_is_a_message)
{
    char *old = nde_allocate(4, 1, &e);
    ck_assert_ptr_nonnull(old);
    ck_assert_ptr_null(nde_enlarge(old, SIZE_MAX / 2, 4, &e)); /* the product is too large */
    ck_assert_int_eq(e.exit_code, 70);
    ck_assert_ptr_nonnull(strstr(e.text, "memory"));
    free(old);
    size_t product = SIZE_MAX / 2;
    ck_assert(nde_times(&product, 2));
    ck_assert(!nde_times(&product, 2));
}
END_TEST

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/nde_fileXXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    Suite *s = suite_create("file");
    TCase *t = tcase_create("file");
    const TTest *const test[] = {
        a_file_is_read_whole,
        a_file_that_cannot_be_read_is_named,
        gzip_is_known_by_its_content,
        long_runs_of_gzip_are_read,
        cut_or_damaged_gzip_is_refused,
        a_file_appears_when_it_is_complete,
        permissions_and_links_stay,
        two_writers_do_not_mix,
        a_full_disk_keeps_the_old_file,
        a_file_that_cannot_be_written_is_named,
        folders_are_made_with_those_above,
        runs_are_numbered_and_never_reused,
        stars_match_in_the_order_of_bytes,
        messages_are_cut_and_clean,
        no_memory_is_a_message,
    };
    for (size_t i = 0; i < sizeof test / sizeof test[0]; i++)
        tcase_add_test(t, test[i]);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command) != 0 || failed != 0;
}
