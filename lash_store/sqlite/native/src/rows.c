/* Results of a plan while no interpreter is at hand: rows copied out of SQLite, outcomes noted. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

void lash_rows_free(lash_rows *rows)
{
    free(rows->data);
    memset(rows, 0, sizeof *rows);
}

static int reserve(lash_rows *rows, size_t more)
{
    if (more <= rows->capacity - rows->size) {
        return 0;
    }
    size_t capacity = rows->capacity ? rows->capacity : 256;
    while (capacity - rows->size < more) {
        if (capacity > SIZE_MAX / 2) {
            return SQLITE_NOMEM;
        }
        capacity *= 2;
    }
    char *data = realloc(rows->data, capacity);
    if (data == NULL) {
        return SQLITE_NOMEM;
    }
    rows->data = data;
    rows->capacity = capacity;
    return 0;
}

/* True when the bytes are well-formed UTF-8 (no overlong forms, no surrogates, nothing past U+10FFFF). SQLite stores
 * whatever text it was given; what cannot become a Python string must be found before the plan is committed. */
static int is_utf8(const unsigned char *text, size_t size)
{
    size_t i = 0;
    while (i < size) {
        unsigned char lead = text[i];
        if (lead < 0x80) {
            i++;
            continue;
        }
        size_t extra = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        unsigned char low = 0x80, high = 0xBF;
        if (lead < 0xC2 || lead > 0xF4 || size - i <= extra) {
            return 0;
        }
        if (lead == 0xE0) {
            low = 0xA0;
        } else if (lead == 0xED) {
            high = 0x9F;
        } else if (lead == 0xF0) {
            low = 0x90;
        } else if (lead == 0xF4) {
            high = 0x8F;
        }
        if (text[i + 1] < low || text[i + 1] > high) {
            return 0;
        }
        for (size_t k = 2; k <= extra; k++) {
            if ((text[i + k] & 0xC0) != 0x80) {
                return 0;
            }
        }
        i += extra + 1;
    }
    return 1;
}

static int append_bytes(lash_rows *rows, sqlite3_stmt *statement, int column, int type)
{
    /* The pointer first, the size second: SQLite's documented order, the other way round may convert twice. */
    const void *data = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(statement, column)
                                           : sqlite3_column_blob(statement, column);
    uint64_t size = (uint64_t)sqlite3_column_bytes(statement, column);
    if (data == NULL && (size > 0 || type == SQLITE_TEXT)) {
        return SQLITE_NOMEM;
    }
    if (type == SQLITE_TEXT && !is_utf8(data, (size_t)size)) {
        return SQLITE_CORRUPT;
    }
    if (reserve(rows, 1 + sizeof size + (size_t)size) != 0) {
        return SQLITE_NOMEM;
    }
    rows->data[rows->size++] = (char)type;
    memcpy(rows->data + rows->size, &size, sizeof size);
    rows->size += sizeof size;
    if (size > 0) {
        memcpy(rows->data + rows->size, data, (size_t)size);
        rows->size += (size_t)size;
    }
    return 0;
}

static int append_cell(lash_rows *rows, sqlite3_stmt *statement, int column)
{
    int type = sqlite3_column_type(statement, column);
    if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
        return append_bytes(rows, statement, column, type);
    }
    if (reserve(rows, 1 + sizeof(int64_t)) != 0) {
        return SQLITE_NOMEM;
    }
    rows->data[rows->size++] = (char)type;
    if (type == SQLITE_INTEGER) {
        int64_t value = sqlite3_column_int64(statement, column);
        memcpy(rows->data + rows->size, &value, sizeof value);
        rows->size += sizeof value;
    } else if (type == SQLITE_FLOAT) {
        double value = sqlite3_column_double(statement, column);
        memcpy(rows->data + rows->size, &value, sizeof value);
        rows->size += sizeof value;
    }
    return 0;
}

int lash_rows_append(lash_rows *rows, sqlite3_stmt *statement)
{
    rows->columns = sqlite3_column_count(statement);
    for (int column = 0; column < rows->columns; column++) {
        int rc = append_cell(rows, statement, column);
        if (rc != 0) {
            return rc;
        }
    }
    rows->count++;
    return 0;
}

void lash_job_forget_results(lash_job *job)
{
    for (size_t i = 0; i < job->step_count; i++) {
        lash_rows *rows = &job->steps[i].rows;
        rows->size = 0;
        rows->count = 0;
    }
    job->seen.size = 0;
    job->seen.count = 0;
    free(job->message);
    job->message = NULL;
    job->outcome = OUTCOME_DONE;
    job->step = -1;
    job->code = job->extended_code = 0;
    job->stopped = -1;
    job->changes = 0;
}

void lash_job_fail(lash_job *job, lash_outcome outcome, int step, const char *message)
{
    job->outcome = outcome;
    job->step = step;
    free(job->message);
    size_t size = strlen(message) + 1;
    job->message = malloc(size);
    if (job->message != NULL) { /* without memory the outcome goes out without its text */
        memcpy(job->message, message, size);
    }
}
