/*
 * A journal in a file: what was written and synced is there after a kill -9 and after a power cut.
 * Each record stands behind its length and a CRC-32 of both, so that a torn one is seen.
 */
#include <fcntl.h>
#include <obrolan.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

struct journal {
    int file;
    off_t end; /* of the last whole record */
};

struct journal_head {
    uint32_t len, crc;
};

static uint32_t journal_crc(uint32_t len, const uint8_t *record) {
    uint32_t crc = len;
    for (uint32_t at = 0; at < len; at++) {
        crc ^= record[at];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static bool journal_open(struct journal *journal, const char *path) {
    journal->end = 0;
    journal->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return journal->file >= 0;
}

/* The next record, which the caller frees. NULL at the end, or where it is torn: cut there. */
static uint8_t *journal_read(struct journal *journal, size_t *len) {
    struct journal_head head;
    if (pread(journal->file, &head, sizeof head, journal->end) != sizeof head) return NULL;
    uint8_t *record = (uint8_t *)malloc(head.len);
    off_t begin = journal->end + (off_t)sizeof head;
    if (record == NULL || pread(journal->file, record, head.len, begin) != (ssize_t)head.len ||
        journal_crc(head.len, record) != head.crc) {
        free(record);
        return NULL;
    }
    journal->end = begin + (off_t)head.len;
    *len = head.len;
    return record;
}

/* Gives all records to a recovery, and cuts off what is torn. */
static bool journal_recover(struct journal *journal, obrolan_recovery *recovery) {
    size_t len;
    uint8_t *record;
    for (uint64_t seq = 1; (record = journal_read(journal, &len)) != NULL; seq++) {
        obrolan_result result = obrolan_recovery_record(recovery, seq, record, len);
        free(record);
        if (result != OBROLAN_OK) return false;
    }
    return ftruncate(journal->file, journal->end) == 0;
}

/* Writes a record at the end. */
static bool journal_write(struct journal *journal, const uint8_t *record, size_t len) {
    struct journal_head head = {(uint32_t)len, journal_crc((uint32_t)len, record)};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)record, len}};
    ssize_t size = (ssize_t)(sizeof head + len);
    if (pwritev(journal->file, parts, 2, journal->end) != size) return false;
    journal->end += size;
    return true;
}

/* Makes what was written durable. */
static bool journal_sync(struct journal *journal) { return fdatasync(journal->file) == 0; }
