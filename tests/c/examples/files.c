/*
 * Sends a file and shows how far it is; fetches the files that come in into a folder.
 * Usage: files URL send TO PATH, or files URL fetch FOLDER. SIGINT stops a file on its way.
 */
#include <obrolan.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stopping;

static void stop(int number) { stopping = number; }

/* Told of every part. user_data is what was given to the call. */
static bool progress(void *user_data, uint64_t done, uint64_t total) {
    const char *what = (const char *)user_data;
    fprintf(stderr, "%s: %u%%\n", what, (unsigned)(total > 0 ? done * 100 / total : 100));
    return !stopping;
}

static obrolan_result send_file(obrolan_client *client, const char *to, char *path) {
    uint64_t id;
    obrolan_result result = obrolan_client_send_file(client, to, path, progress, path, &id);
    if (result == OBROLAN_OK) printf("sent as message %llu\n", (unsigned long long)id);
    return result;
}

/* Fetches the file of a message. Its name is the sender's choice, so no more than its end is used. */
static obrolan_result fetch_file(obrolan_client *client, const obrolan_event *event, const char *folder) {
    const char *name = obrolan_event_file_name(event), *id = obrolan_event_file_id(event);
    const char *end = strrchr(name, '/');
    char path[4096], shown[256];
    obrolan_result result;
    snprintf(shown, sizeof shown, "%s", end != NULL ? end + 1 : name);
    snprintf(path, sizeof path, "%s/%llu-%s", folder, (unsigned long long)obrolan_event_id(event), shown);
    result = obrolan_client_get_file(client, id, obrolan_event_file_sha256(event), path, progress, shown);
    if (result == OBROLAN_OK) printf("%s from %s\n", path, obrolan_event_from(event));
    return result;
}

/* Fetches all files that wait, page by page. */
static obrolan_result fetch_files(obrolan_client *client, const char *folder) {
    obrolan_response *page;
    const obrolan_event *message;
    uint64_t last = 0;
    bool more = true;
    obrolan_result result = OBROLAN_OK;
    while (result == OBROLAN_OK && more) {
        result = obrolan_client_inbox(client, last, &page);
        if (result != OBROLAN_OK) break;
        for (size_t at = 0; (message = obrolan_response_message(page, at)) != NULL; at++) {
            if (obrolan_event_file_id(message) != NULL) result = fetch_file(client, message, folder);
            if (result != OBROLAN_OK) break;
            last = obrolan_event_id(message);
            obrolan_client_ack(client, last);
        }
        more = obrolan_response_bool(page, "more");
        obrolan_response_free(page);
    }
    return result;
}

int main(int argc, char **argv) {
    obrolan_client *client = NULL;
    obrolan_client_options options;
    obrolan_result result;
    bool sends = argc == 5 && strcmp(argv[2], "send") == 0;
    bool fetches = argc == 4 && strcmp(argv[2], "fetch") == 0;
    if (!sends && !fetches) {
        fprintf(stderr, "usage: files URL send TO PATH | files URL fetch FOLDER\n");
        return 2;
    }
    signal(SIGINT, stop);
    result = obrolan_client_options_default(&options, sizeof options);
    options.messages = OBROLAN_MESSAGES_NONE; /* they are asked for */
    if (result == OBROLAN_OK) result = obrolan_client_open_with(argv[1], NULL, NULL, &options, &client);
    if (result == OBROLAN_OK) {
        result = sends ? send_file(client, argv[3], argv[4]) : fetch_files(client, argv[3]);
    }
    if (result != OBROLAN_OK) fprintf(stderr, "files: %s\n", obrolan_last_error());
    obrolan_client_free(client);
    return result == OBROLAN_OK ? 0 : 1;
}
