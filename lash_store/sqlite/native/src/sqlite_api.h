/* The part of SQLite's extension interface that this module uses.
 *
 * SQLite hands an extension a table of its functions. The table only ever grows at its end, so a function's place in
 * it is part of SQLite's stable binary interface; naming the places here spares every build machine SQLite's headers
 * (Windows and macOS have none for extensions) and keeps a second SQLite from being linked by accident. */
#ifndef LASH_SQLITE_API_H
#define LASH_SQLITE_API_H

#include <stdint.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct sqlite3_mutex sqlite3_mutex;
typedef struct sqlite3_context sqlite3_context;
typedef struct sqlite3_value sqlite3_value;
typedef struct sqlite3_file sqlite3_file;
typedef struct sqlite3_io_methods sqlite3_io_methods;
typedef struct sqlite3_vfs sqlite3_vfs;

struct sqlite3_file {
    const sqlite3_io_methods *pMethods;
};

struct sqlite3_io_methods {
    int iVersion;
    int (*xClose)(sqlite3_file *);
    int (*xRead)(sqlite3_file *, void *, int, int64_t);
    int (*xWrite)(sqlite3_file *, const void *, int, int64_t);
    int (*xTruncate)(sqlite3_file *, int64_t);
    int (*xSync)(sqlite3_file *, int);
    int (*xFileSize)(sqlite3_file *, int64_t *);
    int (*xLock)(sqlite3_file *, int);
    int (*xUnlock)(sqlite3_file *, int);
    int (*xCheckReservedLock)(sqlite3_file *, int *);
    int (*xFileControl)(sqlite3_file *, int, void *);
    int (*xSectorSize)(sqlite3_file *);
    int (*xDeviceCharacteristics)(sqlite3_file *);
    int (*xShmMap)(sqlite3_file *, int, int, int, void volatile **);
    int (*xShmLock)(sqlite3_file *, int, int, int);
    void (*xShmBarrier)(sqlite3_file *);
    int (*xShmUnmap)(sqlite3_file *, int);
    int (*xFetch)(sqlite3_file *, int64_t, int, void **);
    int (*xUnfetch)(sqlite3_file *, int64_t, void *);
};

struct sqlite3_vfs {
    int iVersion;
    int szOsFile;
    int mxPathname;
    sqlite3_vfs *pNext;
    const char *zName;
    void *pAppData;
    int (*xOpen)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
    void *rest[15]; /* xDelete ... xNextSystemCall: copied from the wrapped VFS, never called from here */
};

enum {
    SQLITE_OK = 0,
    SQLITE_ERROR = 1,
    SQLITE_BUSY = 5,
    SQLITE_LOCKED = 6,
    SQLITE_NOMEM = 7,
    SQLITE_CORRUPT = 11,
    SQLITE_ROW = 100,
    SQLITE_DONE = 101,
    SQLITE_OK_LOAD_PERMANENTLY = 256,

    SQLITE_INTEGER = 1,
    SQLITE_FLOAT = 2,
    SQLITE_TEXT = 3,
    SQLITE_BLOB = 4,
    SQLITE_NULL = 5,

    SQLITE_UTF8 = 1,
    SQLITE_PREPARE_PERSISTENT = 1,
    SQLITE_CHECKPOINT_PASSIVE = 0,
    SQLITE_FCNTL_FILE_POINTER = 7,
    SQLITE_FCNTL_JOURNAL_POINTER = 28,
    SQLITE_OPEN_WAL = 0x00080000,
};

/* The places of the functions in the table. */
enum {
    SLOT_BIND_DOUBLE = 3,
    SLOT_BIND_INT64 = 5,
    SLOT_BIND_NULL = 6,
    SLOT_BIND_PARAMETER_COUNT = 7,
    SLOT_BUSY_HANDLER = 13,
    SLOT_COLUMN_BLOB = 19,
    SLOT_COLUMN_BYTES = 20,
    SLOT_COLUMN_COUNT = 22,
    SLOT_COLUMN_DOUBLE = 27,
    SLOT_COLUMN_INT64 = 29,
    SLOT_COLUMN_TEXT = 36,
    SLOT_COLUMN_TYPE = 38,
    SLOT_ERRMSG = 53,
    SLOT_FINALIZE = 57,
    SLOT_GET_AUTOCOMMIT = 60,
    SLOT_LIBVERSION = 66,
    SLOT_RESET = 77,
    SLOT_RESULT_INT64 = 83,
    SLOT_STEP = 94,
    SLOT_CLEAR_BINDINGS = 118,
    SLOT_FILE_CONTROL = 127,
    SLOT_MUTEX_ENTER = 131,
    SLOT_MUTEX_LEAVE = 133,
    SLOT_VFS_FIND = 141,
    SLOT_VFS_REGISTER = 142,
    SLOT_CREATE_FUNCTION_V2 = 162,
    SLOT_DB_MUTEX = 164,
    SLOT_EXTENDED_ERRCODE = 166,
    SLOT_WAL_HOOK = 175,
    SLOT_STMT_READONLY = 185,
    SLOT_WAL_CHECKPOINT_V2 = 191,
    SLOT_BIND_BLOB64 = 193,
    SLOT_BIND_TEXT64 = 194,
    SLOT_PREPARE_V3 = 217,
    SLOT_CHANGES64 = 253,
    SLOT_COUNT = 254,
};

typedef void (*lash_function)(void);
typedef struct {
    lash_function slot[SLOT_COUNT];
} lash_sqlite_api;

/* The table of the one SQLite this process may use here; NULL until an extension load has handed it over. Written once,
 * while the import lock of the module that attaches is held, and never changed afterwards. */
extern const lash_sqlite_api *lash_api;

#define LASH_CALL(place, result, ...) ((result(*)(__VA_ARGS__))lash_api->slot[place])

typedef void (*lash_destructor)(void *);
#define LASH_STATIC ((lash_destructor)0)

#define sqlite3_bind_blob64 LASH_CALL(SLOT_BIND_BLOB64, int, sqlite3_stmt *, int, const void *, uint64_t, lash_destructor)
#define sqlite3_bind_double LASH_CALL(SLOT_BIND_DOUBLE, int, sqlite3_stmt *, int, double)
#define sqlite3_bind_int64 LASH_CALL(SLOT_BIND_INT64, int, sqlite3_stmt *, int, int64_t)
#define sqlite3_bind_null LASH_CALL(SLOT_BIND_NULL, int, sqlite3_stmt *, int)
#define sqlite3_bind_parameter_count LASH_CALL(SLOT_BIND_PARAMETER_COUNT, int, sqlite3_stmt *)
#define sqlite3_bind_text64 \
    LASH_CALL(SLOT_BIND_TEXT64, int, sqlite3_stmt *, int, const char *, uint64_t, lash_destructor, unsigned char)
#define sqlite3_busy_handler LASH_CALL(SLOT_BUSY_HANDLER, int, sqlite3 *, int (*)(void *, int), void *)
#define sqlite3_changes64 LASH_CALL(SLOT_CHANGES64, int64_t, sqlite3 *)
#define sqlite3_clear_bindings LASH_CALL(SLOT_CLEAR_BINDINGS, int, sqlite3_stmt *)
#define sqlite3_column_blob LASH_CALL(SLOT_COLUMN_BLOB, const void *, sqlite3_stmt *, int)
#define sqlite3_column_bytes LASH_CALL(SLOT_COLUMN_BYTES, int, sqlite3_stmt *, int)
#define sqlite3_column_count LASH_CALL(SLOT_COLUMN_COUNT, int, sqlite3_stmt *)
#define sqlite3_column_double LASH_CALL(SLOT_COLUMN_DOUBLE, double, sqlite3_stmt *, int)
#define sqlite3_column_int64 LASH_CALL(SLOT_COLUMN_INT64, int64_t, sqlite3_stmt *, int)
#define sqlite3_column_text LASH_CALL(SLOT_COLUMN_TEXT, const unsigned char *, sqlite3_stmt *, int)
#define sqlite3_column_type LASH_CALL(SLOT_COLUMN_TYPE, int, sqlite3_stmt *, int)
#define sqlite3_create_function_v2                                                                                     \
    LASH_CALL(SLOT_CREATE_FUNCTION_V2, int, sqlite3 *, const char *, int, int, void *,                                 \
              void (*)(sqlite3_context *, int, sqlite3_value **),                                                      \
              void (*)(sqlite3_context *, int, sqlite3_value **), void (*)(sqlite3_context *), lash_destructor)
#define sqlite3_db_mutex LASH_CALL(SLOT_DB_MUTEX, sqlite3_mutex *, sqlite3 *)
#define sqlite3_errmsg LASH_CALL(SLOT_ERRMSG, const char *, sqlite3 *)
#define sqlite3_extended_errcode LASH_CALL(SLOT_EXTENDED_ERRCODE, int, sqlite3 *)
#define sqlite3_file_control LASH_CALL(SLOT_FILE_CONTROL, int, sqlite3 *, const char *, int, void *)
#define sqlite3_finalize LASH_CALL(SLOT_FINALIZE, int, sqlite3_stmt *)
#define sqlite3_get_autocommit LASH_CALL(SLOT_GET_AUTOCOMMIT, int, sqlite3 *)
/* No parameters: spelt out, because an empty argument list cannot be passed on by the macro above. */
#define sqlite3_libversion ((const char *(*)(void))lash_api->slot[SLOT_LIBVERSION])
#define sqlite3_mutex_enter LASH_CALL(SLOT_MUTEX_ENTER, void, sqlite3_mutex *)
#define sqlite3_mutex_leave LASH_CALL(SLOT_MUTEX_LEAVE, void, sqlite3_mutex *)
#define sqlite3_prepare_v3 \
    LASH_CALL(SLOT_PREPARE_V3, int, sqlite3 *, const char *, int, unsigned int, sqlite3_stmt **, const char **)
#define sqlite3_reset LASH_CALL(SLOT_RESET, int, sqlite3_stmt *)
#define sqlite3_result_int64 LASH_CALL(SLOT_RESULT_INT64, void, sqlite3_context *, int64_t)
#define sqlite3_step LASH_CALL(SLOT_STEP, int, sqlite3_stmt *)
#define sqlite3_stmt_readonly LASH_CALL(SLOT_STMT_READONLY, int, sqlite3_stmt *)
#define sqlite3_vfs_find LASH_CALL(SLOT_VFS_FIND, sqlite3_vfs *, const char *)
#define sqlite3_vfs_register LASH_CALL(SLOT_VFS_REGISTER, int, sqlite3_vfs *, int)
#define sqlite3_wal_checkpoint_v2 LASH_CALL(SLOT_WAL_CHECKPOINT_V2, int, sqlite3 *, const char *, int, int *, int *)
#define sqlite3_wal_hook \
    LASH_CALL(SLOT_WAL_HOOK, void *, sqlite3 *, int (*)(void *, sqlite3 *, const char *, int), void *)

#endif
