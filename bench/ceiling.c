/* The upper mark: the bench's one transaction in a plain C loop, nothing around it.
 *
 * Built at run time and loaded into apsw's SQLite as an extension, because that is the only way to the library inside
 * apsw: the entry point receives its function table, and the loops are then called through it with the connection's
 * pointer, without the interpreter's lock. It prepares each statement once and runs no other SQL than what it is given.
 */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { BEGIN, READ_HEAD, INSERT_NODE, ADVANCE_HEAD, COMMIT, SAVEPOINT, RELEASE, ROLLBACK, STATEMENTS };

/* What the caller fills in. Times are seconds; `waits` has room for `capacity` of them. */
typedef struct {
    const char *sql[STATEMENTS];
    const char *node_head;
    const char *node_tail;
    const char *prefix;
    double seconds;
    int batch; /* transactions in one COMMIT; 0: no savepoints, one COMMIT each */
    int capacity;
    double *waits;
} Order;

/* What it finds afterwards: COMMITs that returned, those among them after the time was over, and BEGINs refused. */
typedef struct {
    int commits;
    int late;
    int failures;
    int code; /* an error other than a refused BEGIN ended the loop */
} Report;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Run a statement to its end, passing over its rows, and make it ready for the next time. */
static int run(sqlite3_stmt *statement)
{
    int code;
    do
        code = sqlite3_step(statement);
    while (code == SQLITE_ROW);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int insert_node(sqlite3_stmt *insert, const Order *order, long number)
{
    char id[64], json[1024];
    int id_length = snprintf(id, sizeof id, "%s-%ld", order->prefix, number);
    int json_length = snprintf(json, sizeof json, "%s%s%s", order->node_head, id, order->node_tail);
    if (id_length >= (int)sizeof id || json_length >= (int)sizeof json)
        return SQLITE_TOOBIG;
    sqlite3_bind_text(insert, 1, id, id_length, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, json, json_length, SQLITE_STATIC);
    int code = run(insert);
    sqlite3_clear_bindings(insert); /* the buffers end with this call */
    return code;
}

static int write_one(sqlite3_stmt **statements, const Order *order, long number)
{
    int code = run(statements[READ_HEAD]);
    if (code == SQLITE_OK)
        code = insert_node(statements[INSERT_NODE], order, number);
    if (code == SQLITE_OK)
        code = run(statements[ADVANCE_HEAD]);
    return code;
}

/* The inside of one transaction: one write, or a batch of them with a savepoint each. */
static int write_all(sqlite3_stmt **statements, const Order *order, long first)
{
    if (order->batch == 0)
        return write_one(statements, order, first);
    int code = SQLITE_OK;
    for (int i = 0; i < order->batch && code == SQLITE_OK; i++) {
        code = run(statements[SAVEPOINT]);
        if (code == SQLITE_OK)
            code = write_one(statements, order, first + i);
        if (code == SQLITE_OK)
            code = run(statements[RELEASE]);
    }
    return code;
}

static void loop(sqlite3_stmt **statements, const Order *order, Report *report)
{
    long number = 0;
    long step = order->batch ? order->batch : 1;
    double deadline = now() + order->seconds;
    double began;
    while ((began = now()) < deadline && report->commits < order->capacity) {
        if (run(statements[BEGIN]) != SQLITE_OK) {
            report->failures++;
            continue;
        }
        int code = write_all(statements, order, number);
        if (code == SQLITE_OK)
            code = run(statements[COMMIT]);
        if (code != SQLITE_OK) {
            run(statements[ROLLBACK]);
            report->code = code;
            return;
        }
        double finished = now();
        number += step;
        order->waits[report->commits++] = finished - began;
        report->late = finished > deadline;
    }
}

/* Write for the ordered time. Returns an SQLite result code; the report is valid in any case. */
EXPORT int bench_loop(sqlite3 *db, const Order *order, Report *report)
{
    sqlite3_stmt *statements[STATEMENTS] = {0};
    memset(report, 0, sizeof *report);
    for (int i = 0; i < STATEMENTS && report->code == SQLITE_OK; i++)
        report->code = sqlite3_prepare_v3(db, order->sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], 0);
    if (report->code == SQLITE_OK)
        loop(statements, order, report);
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(statements[i]);
    return report->code;
}

EXPORT int sqlite3_ceiling_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
    (void)db;
    (void)message;
    SQLITE_EXTENSION_INIT2(api);
    return SQLITE_OK;
}
