/* Calls every function of the library, as a program does that keeps everything itself. */
#include <obrolan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(bool good, const char *what, int line) {
    if (good) return;
    fprintf(stderr, "line %d: %s: %s\n", line, what, obrolan_last_error());
    exit(1);
}
#define CHECK(it) check(it, #it, __LINE__)
#define OK(call) CHECK((call) == OBROLAN_OK)

enum { MOST = 100, ROOM = 1 << 16 };

/* What the program keeps. Copies of bytes are the program's. */
static obrolan_slice records[MOST], bodies[MOST], file;
static uint64_t prevs[MOST], record_count;
static const uint8_t digest_of_halo[32] = {
    0xa4, 0xe6, 0x3b, 0xca, 0xcf, 0x6c, 0x17, 0x2a, 0xd8, 0x4f, 0x9f, 0x45, 0x23, 0xc8, 0xf1, 0xac,
    0xaf, 0x33, 0x67, 0x6f, 0xa7, 0x6d, 0x32, 0x58, 0xc6, 0x7b, 0x7e, 0x7b, 0xbf, 0x16, 0xd7, 0x77};

static obrolan_config config;
static uint8_t seed[32];
static obrolan_engine *engine;
static uint64_t now = 1795424400000;
static bool seen[32], store_fails;

static obrolan_slice copy(const uint8_t *data, size_t len) {
    uint8_t *copied = (uint8_t *)malloc(len);
    obrolan_slice slice;
    CHECK(copied != NULL);
    memcpy(copied, data, len);
    slice.data = copied;
    slice.len = len;
    return slice;
}

static void drop(obrolan_slice *slice) {
    free((void *)slice->data);
    slice->data = NULL;
    slice->len = 0;
}

/* Does what an output asks for, and returns it. */
static void answer(const obrolan_output *ask) {
    char hash[OBROLAN_PASSWORD_HASH_SIZE];
    obrolan_slice messages[MOST];
    obrolan_answer done;
    uint64_t next;
    bool matches;
    OK(obrolan_answer_init(&done, sizeof done, OBROLAN_ANSWER_DONE));
    done.messages = messages;
    switch (ask->type) {
    case OBROLAN_ASK_HASH_PASSWORD:
        OK(obrolan_password_hash(ask->password, ask->salt, hash));
        done.type = OBROLAN_ANSWER_PASSWORD_HASH;
        done.hash = hash;
        break;
    case OBROLAN_ASK_VERIFY_PASSWORD:
        OK(obrolan_password_verify(ask->password, ask->hash, &matches));
        done.type = OBROLAN_ANSWER_PASSWORD_MATCHES;
        done.matches = matches;
        break;
    case OBROLAN_ASK_READ_MESSAGES:
        done.type = OBROLAN_ANSWER_MESSAGES;
        while (done.messages_count < ask->ids_count) {
            messages[done.messages_count] = bodies[ask->ids[done.messages_count]];
            done.messages_count++;
        }
        break;
    case OBROLAN_ASK_READ_HISTORY:
        done.type = OBROLAN_ANSWER_HISTORY;
        next = ask->newest;
        if (ask->before > 0) {
            done.before = bodies[ask->before];
            next = prevs[ask->before];
        }
        for (; next > ask->floor && done.messages_count < ask->limit; next = prevs[next])
            messages[done.messages_count++] = bodies[next];
        done.more = next > ask->floor;
        break;
    case OBROLAN_ASK_APPEND_UPLOAD:
        CHECK(ask->offset == 0 && file.data == NULL);
        file = copy(ask->bytes.data, ask->bytes.len);
        break;
    case OBROLAN_ASK_FINISH_UPLOAD:
        done.type = OBROLAN_ANSWER_FILE_STORED;
        memcpy(done.sha256, digest_of_halo, sizeof done.sha256);
        done.file_size = file.len;
        break;
    case OBROLAN_ASK_DROP_UPLOAD:
        drop(&file);
        break;
    case OBROLAN_ASK_READ_FILE:
        CHECK(memcmp(ask->sha256, digest_of_halo, sizeof digest_of_halo) == 0);
        done.type = OBROLAN_ANSWER_FILE_BYTES;
        done.bytes.data = file.data + ask->offset;
        done.bytes.len = ask->length;
        break;
    default:
        CHECK(!"an output with a ticket is one of these");
    }
    OK(obrolan_engine_answer(engine, now, ask->ticket, &done));
}

/* Sends what is to be sent on a connection, and keeps it as a text. */
static void send_to(obrolan_conn conn, char *came) {
    obrolan_slice slices[2];
    size_t count, sent = 0;
    OK(obrolan_engine_outgoing(engine, conn, slices, 2, &count));
    for (size_t at = 0; at < count; at++) {
        strncat(came, (const char *)slices[at].data, slices[at].len);
        sent += slices[at].len;
    }
    OK(obrolan_engine_sent(engine, now, conn, sent));
    if (count == 2) send_to(conn, came);
}

static void do_outputs(char *came) {
    const obrolan_output *output;
    uint64_t first = record_count + 1;
    OK(obrolan_engine_next_output(engine, &output));
    while (output != NULL) {
        seen[output->type] = true;
        if (output->type == OBROLAN_OUTPUT_PERSIST) {
            CHECK(output->seq == ++record_count && record_count < MOST);
            records[record_count] = copy(output->record.data, output->record.len);
            if (output->message > 0) {
                size_t at = output->body_at;
                drop(&bodies[output->message]); /* of a record that was lost */
                bodies[output->message] = copy(output->record.data + at, output->record.len - at);
                prevs[output->message] = output->prev;
            }
        }
        if (output->type == OBROLAN_OUTPUT_WRITABLE) send_to(output->conn, came);
        if (output->type == OBROLAN_OUTPUT_REGISTERED || output->type == OBROLAN_OUTPUT_LOGGED_IN)
            CHECK(strcmp(output->user, "ann") == 0);
        if (output->type == OBROLAN_OUTPUT_CLOSE) CHECK(output->reason <= OBROLAN_CLOSE_STOPPING);
        if (output->ticket > 0) answer(output);
        OK(obrolan_engine_next_output(engine, &output));
    }
    if (record_count < first) return;
    if (store_fails) {
        OK(obrolan_engine_persist_failed(engine, now, first));
        for (; record_count >= first; record_count--) drop(&records[record_count]);
    } else {
        OK(obrolan_engine_persisted(engine, now, record_count));
    }
    do_outputs(came);
}

/* Makes a request, and looks what comes back. */
static void ask(obrolan_conn conn, const char *request, const char *response) {
    static char came[ROOM];
    size_t consumed;
    bool wants_read, wants;
    came[0] = 0;
    now += 10;
    OK(obrolan_engine_receive(engine, now, conn, (const uint8_t *)request, strlen(request), &consumed,
                              &wants_read));
    CHECK(consumed == strlen(request));
    OK(obrolan_engine_wants_read(engine, conn, &wants));
    CHECK(wants == wants_read);
    do_outputs(came);
    if (strstr(came, response) != NULL) return;
    fprintf(stderr, "%sis answered %sand not %s\n", request, came, response);
    exit(1);
}

static obrolan_recovery *recovery_of_all(void) {
    obrolan_recovery *recovery;
    OK(obrolan_recovery_new(&config, seed, &recovery));
    for (uint64_t seq = 1; seq <= record_count; seq++)
        OK(obrolan_recovery_record(recovery, seq, records[seq].data, records[seq].len));
    return recovery;
}

static void everything_of_an_engine(void) {
    obrolan_conn ann, other;
    size_t count;
    uint8_t digests[2][32];
    uint64_t due;
    char came[ROOM] = "";
    OK(obrolan_engine_connect(engine, now, NULL, &ann));
    OK(obrolan_engine_connect(engine, now, "192.0.2.1", &other));
    ask(ann, "REGISTER ann secret99 ID Ann\n", "\"status\":\"OK\"");
    ask(ann, "AUTH ann wrong\n", "\"code\":\"bad_credentials\"");
    ask(ann, "AUTH ann secret99\n", "\"tokenid\":\"sid_");
    ask(ann, "SEND ann satu\n", "\"id\":1");
    ask(ann, "SEND ann dua\n", "\"id\":2");
    ask(ann, "INBOX\n", "\"text\":\"dua\"");
    ask(ann, "HISTORY ann 2\n", "\"text\":\"satu\"");
    ask(ann, "SEND_FILE ann f.txt aGFsbw==\n", "\"id\":3");
    ask(ann, "GET_FILE 3 1\n", "\"data\":\"YWxv\"");
    ask(ann, "ACK 3\n", "pesan dikonfirmasi");
    drop(&file);
    ask(ann, "UPLOAD f.txt aGFsbw==\n", "\"size\":4");
    OK(obrolan_engine_file_digests(engine, digests[0], 2, &count));
    CHECK(count == 1 && memcmp(digests[0], digest_of_halo, 32) == 0);
    OK(obrolan_engine_connections(engine, &count));
    CHECK(count == 2);
    OK(obrolan_engine_accounts(engine, &count));
    CHECK(count == 1);
    OK(obrolan_engine_next_timeout(engine, &due));
    CHECK(due > now && due != OBROLAN_NEVER);
    now = due;
    OK(obrolan_engine_handle_timeout(engine, now));
    do_outputs(came);
    OK(obrolan_engine_connections(engine, &count));
    CHECK(count == 1); /* the other one never logged in */
}

static void snapshots_and_recovery(void) {
    obrolan_snapshot *snapshot;
    obrolan_recovery *recovery;
    obrolan_engine *recovered;
    uint64_t seq;
    const uint8_t *bytes;
    size_t len;
    uint8_t digests[2][32];
    OK(obrolan_engine_digest(engine, digests[0]));
    OK(obrolan_engine_snapshot(engine, &snapshot));
    OK(obrolan_snapshot_bytes(snapshot, &seq, &bytes, &len));
    CHECK(seq == record_count);
    OK(obrolan_recovery_new(&config, seed, &recovery));
    CHECK(obrolan_recovery_record(recovery, 2, bytes, len) == OBROLAN_ERR_DAMAGED);
    CHECK(strcmp(obrolan_recovery_last_error(recovery), obrolan_last_error()) == 0);
    OK(obrolan_recovery_snapshot(recovery, bytes, len));
    OK(obrolan_recovery_start(recovery, now, &recovered));
    OK(obrolan_engine_digest(recovered, digests[1]));
    CHECK(memcmp(digests[0], digests[1], 32) == 0);
    obrolan_engine_free(recovered);
    obrolan_recovery_free(recovery);
    obrolan_snapshot_free(snapshot);
}

static void a_store_that_fails(void) {
    obrolan_recovery *recovery;
    obrolan_conn conn;
    OK(obrolan_engine_connect(engine, now, NULL, &conn));
    ask(conn, "AUTH ann secret99\n", "\"tokenid\":\"sid_");
    store_fails = true;
    ask(conn, "SEND ann tiga\n", "\"code\":\"unavailable\"");
    store_fails = false;
    recovery = recovery_of_all();
    OK(obrolan_engine_restore(engine, now, recovery));
    CHECK(obrolan_engine_restore(engine, now, recovery) == OBROLAN_ERR_MISUSE);
    obrolan_recovery_free(recovery);
    ask(conn, "SEND ann tiga\n", "pesan terkirim");
    OK(obrolan_engine_peer_closed(engine, now, conn, OBROLAN_CLOSED_GONE));
    CHECK(obrolan_engine_sent(engine, now, conn, 0) == OBROLAN_ERR_MISUSE);
    CHECK(strcmp(obrolan_engine_last_error(engine), obrolan_last_error()) == 0);
}

int main(void) {
    static const obrolan_output_type events[] = {
        OBROLAN_OUTPUT_PERSIST,     OBROLAN_OUTPUT_WRITABLE,      OBROLAN_OUTPUT_CLOSE,
        OBROLAN_OUTPUT_REGISTERED,  OBROLAN_OUTPUT_LOGGED_IN,     OBROLAN_OUTPUT_LOGIN_FAILED,
        OBROLAN_ASK_HASH_PASSWORD,  OBROLAN_ASK_VERIFY_PASSWORD,  OBROLAN_ASK_READ_MESSAGES,
        OBROLAN_ASK_READ_HISTORY,   OBROLAN_ASK_APPEND_UPLOAD,    OBROLAN_ASK_FINISH_UPLOAD,
        OBROLAN_ASK_DROP_UPLOAD,    OBROLAN_ASK_READ_FILE};
    char came[ROOM] = "";
    size_t count;
    CHECK(strcmp(obrolan_version(), OBROLAN_VERSION) == 0);
    CHECK(obrolan_has("engine") && !obrolan_has("teleport"));
    CHECK(strcmp(obrolan_last_error(), "") == 0);
    OK(obrolan_config_default(&config, sizeof config));
    config.persistence = 1;
    config.passwords = config.messages = config.files = OBROLAN_SERVICE_HOST;
    config.idle_before_session = 1000;
    config.throttle_loopback = 1;
    OK(obrolan_engine_new(&config, seed, now, &engine));
    everything_of_an_engine();
    snapshots_and_recovery();
    a_store_that_fails();
    now += 48 * 3600000; /* the upload goes */
    OK(obrolan_engine_handle_timeout(engine, now));
    OK(obrolan_engine_shutdown(engine, now));
    do_outputs(came);
    OK(obrolan_engine_connections(engine, &count));
    CHECK(count == 0);
    obrolan_engine_free(engine);
    CHECK(obrolan_engine_shutdown(engine, now) == OBROLAN_ERR_HANDLE);
    CHECK(strcmp(obrolan_last_error(), obrolan_strerror(OBROLAN_ERR_HANDLE)) == 0);
    for (size_t at = 0; at < sizeof events / sizeof *events; at++) CHECK(seen[events[at]]);
    for (size_t at = 0; at < MOST; at++) {
        drop(&records[at]);
        drop(&bodies[at]);
    }
    return 0;
}
