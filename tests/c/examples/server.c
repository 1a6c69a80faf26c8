/*
 * A chat server on poll(): the engine brings the protocol, peers.h the sockets, and journal.h a file
 * that survives kill -9. Usage: server PORT JOURNAL. SIGTERM ends it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>

#include "journal.h"
#include "peers.h"

static struct journal journal;
static uint64_t written; /* the last record that is not synced yet, or 0 */
static volatile sig_atomic_t stopping;

static void stop(int number) { stopping = number; }

/* Makes the engine that the journal tells of. */
static void start(const char *path) {
    uint8_t seed[32];
    obrolan_config config;
    obrolan_recovery *recovery;
    OK(obrolan_config_default(&config, sizeof config));
    config.persistence = 1;
    need(getentropy(seed, sizeof seed) == 0 && journal_open(&journal, path));
    OK(obrolan_recovery_new(&config, seed, &recovery));
    need(journal_recover(&journal, recovery));
    OK(obrolan_recovery_start(recovery, now(), &engine));
    obrolan_recovery_free(recovery);
}

static void do_output(const obrolan_output *output) {
    int fd = 0;
    while (fd < FDS && output->conn != conns[fd]) fd++; /* nothing is connected to 0 */
    if (fd == FDS) return; /* that connection is gone already */
    if (output->type == OBROLAN_OUTPUT_PERSIST)
        need(journal_write(&journal, output->record.data, output->record.len));
    else if (output->type == OBROLAN_OUTPUT_WRITABLE)
        polled[fd].events |= POLLOUT;
    else if (output->type == OBROLAN_OUTPUT_READABLE)
        polled[fd].events |= POLLIN;
    else if (output->type == OBROLAN_OUTPUT_CLOSE)
        forget(fd);
}

/* Does all that the engine wants. After every call: it may have let a connection go. */
static void do_outputs(void) {
    for (;;) {
        const obrolan_output *output;
        OK(obrolan_engine_next_output(engine, &output));
        if (output == NULL) return;
        if (output->seq > 0) written = output->seq;
        do_output(output);
    }
}

/* Syncs what was written once, however much it is; then its answers leave. */
static void make_durable(void) {
    while (written > 0) {
        need(journal_sync(&journal));
        OK(obrolan_engine_persisted(engine, now(), written));
        written = 0;
        do_outputs();
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: server PORT JOURNAL\n");
        return 2;
    }
    for (int fd = 0; fd < FDS; fd++) polled[fd].fd = -1;
    signal(SIGTERM, stop);
    signal(SIGPIPE, SIG_IGN);
    start(argv[2]);
    int listener = listen_on((uint16_t)atoi(argv[1]));
    watch(listener);
    while (!stopping) {
        uint64_t due, time = now();
        OK(obrolan_engine_next_timeout(engine, &due));
        due = due < time ? 0 : due - time;
        poll(polled, FDS, due < 1000 ? (int)due : 1000);
        OK(obrolan_engine_handle_timeout(engine, now()));
        do_outputs();
        for (int fd = 0; fd < FDS; fd++) {
            if (polled[fd].revents && fd == listener) accept_from(listener);
            else if (polled[fd].revents) {
                if (polled[fd].revents & POLLOUT) write_to(fd);
                do_outputs();
                if (polled[fd].revents & ~POLLOUT) read_from(fd);
                do_outputs();
            }
        }
        make_durable();
    }
    obrolan_engine_free(engine);
    return 0;
}
