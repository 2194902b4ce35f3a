/* One write instead of many.
 *
 * SQLite appends a commit to the WAL page by page, each in two writes: 24 bytes of frame header and the page. A small
 * transaction changes three or four pages, and half of its time goes into six or eight system calls. Under this VFS the
 * frames of one COMMIT are gathered and written by one call.
 *
 * What makes it safe: frames are gathered only between lash_walwrite_begin and lash_walwrite_finish, that is inside the
 * step of a COMMIT, where all frames belong to one commit and the last of them says so in its header (a database size
 * that is not zero). With that frame's page everything gathered is written, and its result is the result of that page's
 * write, so SQLite hears of a full disk as ever and before it publishes the commit in the WAL index. Anything that does
 * not look like "header, page, header, page, ..." in a row (a split write, a rewritten frame), and every call that could
 * see the file's contents, writes what was gathered first and ends the gathering. The database file itself is not touched: it is
 * opened by the wrapped VFS as if this one did not exist, so locks and shared memory are the system's own. */
#include "walwrite.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAME_HEADER = 24,
    WAL_HEADER = 32,
    GATHER_MAX = 120 * 1024, /* SQLite's Unix VFS writes less than 128 KiB at a time, and takes just that much for 0 */
};

typedef enum { PASS_THROUGH, EXPECT_HEADER, EXPECT_PAGE } gather_state;

typedef struct {
    sqlite3_file base;
    gather_state state;
    int page_size;
    int is_commit; /* the frame under way is the last of its commit */
    char *buffer;
    int used;
    int64_t offset; /* of the buffer's first byte in the file */
    sqlite3_file *real;
} wal_file;

static sqlite3_vfs *wrapped;
static sqlite3_vfs wrapper;

static int write_gathered(wal_file *file)
{
    if (file->used == 0) {
        return SQLITE_OK;
    }
    int size = file->used;
    file->used = 0;
    return file->real->pMethods->xWrite(file->real, file->buffer, size, file->offset);
}

static int end_gathering(wal_file *file)
{
    file->state = PASS_THROUGH;
    return write_gathered(file);
}

static int wal_close(sqlite3_file *handle)
{
    wal_file *file = (wal_file *)handle;
    int written = end_gathering(file);
    free(file->buffer);
    file->buffer = NULL;
    int closed = file->real->pMethods->xClose(file->real);
    return written != SQLITE_OK ? written : closed;
}

static int wal_read(sqlite3_file *handle, void *data, int size, int64_t offset)
{
    wal_file *file = (wal_file *)handle;
    int rc = end_gathering(file);
    return rc != SQLITE_OK ? rc : file->real->pMethods->xRead(file->real, data, size, offset);
}

static void gather(wal_file *file, const void *data, int size, int64_t offset)
{
    if (file->used == 0) {
        file->offset = offset;
    }
    memcpy(file->buffer + file->used, data, (size_t)size);
    file->used += size;
}

static int wal_write(sqlite3_file *handle, const void *data, int size, int64_t offset)
{
    wal_file *file = (wal_file *)handle;
    int in_a_row = file->used == 0 || offset == file->offset + file->used;
    if (file->state == EXPECT_HEADER && size == FRAME_HEADER && in_a_row) {
        const unsigned char *header = data;
        int rc = file->used + FRAME_HEADER + file->page_size > GATHER_MAX ? write_gathered(file) : SQLITE_OK;
        if (rc != SQLITE_OK) {
            file->state = PASS_THROUGH;
            return rc;
        }
        file->is_commit = header[4] || header[5] || header[6] || header[7];
        gather(file, data, size, offset);
        file->state = EXPECT_PAGE;
        return SQLITE_OK;
    }
    if (file->state == EXPECT_PAGE && size == file->page_size && in_a_row) {
        gather(file, data, size, offset);
        file->state = EXPECT_HEADER;
        return file->is_commit ? end_gathering(file) : SQLITE_OK;
    }
    if (file->state != PASS_THROUGH && !(size == WAL_HEADER && offset == 0)) {
        int rc = end_gathering(file);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return file->real->pMethods->xWrite(file->real, data, size, offset);
}

static int wal_truncate(sqlite3_file *handle, int64_t size)
{
    wal_file *file = (wal_file *)handle;
    int rc = end_gathering(file);
    return rc != SQLITE_OK ? rc : file->real->pMethods->xTruncate(file->real, size);
}

static int wal_sync(sqlite3_file *handle, int flags)
{
    wal_file *file = (wal_file *)handle;
    /* Not the end of the gathering: a log that starts over is synced right after its header. */
    int rc = write_gathered(file);
    return rc != SQLITE_OK ? rc : file->real->pMethods->xSync(file->real, flags);
}

static int wal_size(sqlite3_file *handle, int64_t *size)
{
    wal_file *file = (wal_file *)handle;
    int rc = end_gathering(file);
    return rc != SQLITE_OK ? rc : file->real->pMethods->xFileSize(file->real, size);
}

static int wal_lock(sqlite3_file *handle, int level)
{
    sqlite3_file *real = ((wal_file *)handle)->real;
    return real->pMethods->xLock(real, level);
}

static int wal_unlock(sqlite3_file *handle, int level)
{
    sqlite3_file *real = ((wal_file *)handle)->real;
    return real->pMethods->xUnlock(real, level);
}

static int wal_check_lock(sqlite3_file *handle, int *result)
{
    sqlite3_file *real = ((wal_file *)handle)->real;
    return real->pMethods->xCheckReservedLock(real, result);
}

static int wal_control(sqlite3_file *handle, int operation, void *argument)
{
    wal_file *file = (wal_file *)handle;
    return file->real->pMethods->xFileControl(file->real, operation, argument);
}

static int wal_sector_size(sqlite3_file *handle)
{
    sqlite3_file *real = ((wal_file *)handle)->real;
    return real->pMethods->xSectorSize(real);
}

static int wal_characteristics(sqlite3_file *handle)
{
    sqlite3_file *real = ((wal_file *)handle)->real;
    return real->pMethods->xDeviceCharacteristics(real);
}

/* Version 1: SQLite never maps a WAL file, and shared memory belongs to the database file. */
static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_check_lock,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_size,
    .xDeviceCharacteristics = wal_characteristics,
};

static int wrapper_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *handle, int flags, int *out_flags)
{
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL)) {
        return wrapped->xOpen(wrapped, name, handle, flags, out_flags);
    }
    wal_file *file = (wal_file *)handle;
    memset(file, 0, sizeof *file);
    file->real = (sqlite3_file *)(file + 1);
    int rc = wrapped->xOpen(wrapped, name, file->real, flags, out_flags);
    /* SQLite closes exactly the files that have methods, whatever xOpen returned: so must this one. */
    if (file->real->pMethods != NULL) {
        file->base.pMethods = &wal_methods;
    }
    return rc;
}

const char *lash_walwrite_register(void)
{
    if (wrapped != NULL) {
        return wrapper.zName;
    }
    sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    if (system == NULL || system->zName == NULL || system->iVersion > 3 ||
        (strcmp(system->zName, "unix") != 0 && strcmp(system->zName, "win32") != 0)) {
        return NULL; /* somebody's own default: its methods may expect to be called with its own record */
    }
    wrapper = *system;
    wrapper.pNext = NULL;
    wrapper.zName = "lash_store";
    wrapper.szOsFile = (int)sizeof(wal_file) + system->szOsFile;
    wrapper.xOpen = wrapper_open;
    wrapped = system;
    if (sqlite3_vfs_register(&wrapper, 0) != SQLITE_OK) {
        wrapped = NULL;
        return NULL;
    }
    return wrapper.zName;
}

sqlite3_file *lash_walwrite_find(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK || file == NULL ||
        file->pMethods != &wal_methods) {
        return NULL;
    }
    return file;
}

void lash_walwrite_begin(sqlite3_file *handle, int page_size)
{
    wal_file *file = (wal_file *)handle;
    if (file->buffer == NULL) {
        file->buffer = malloc(GATHER_MAX);
    }
    if (file->buffer != NULL && page_size > 0 && page_size <= 65536) {
        file->page_size = page_size;
        file->state = EXPECT_HEADER;
    }
}

int lash_walwrite_finish(sqlite3_file *handle, int in_transaction)
{
    wal_file *file = (wal_file *)handle;
    if (!in_transaction) {
        /* The commit went through, and then nothing is left; or it was rolled back, and then the place in the file
         * belongs to whoever writes next. */
        file->used = 0;
    }
    return end_gathering(file);
}
