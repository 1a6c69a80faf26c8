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

/* Fetches all files that wait. */
static obrolan_result fetch_files(obrolan_client *client, const char *folder) {
    obrolan_event *event;
    obrolan_result result = obrolan_client_next(client, 1000, &event);
    while (result == OBROLAN_OK && event != NULL) {
        if (obrolan_event_file_id(event) != NULL) result = fetch_file(client, event, folder);
        if (result == OBROLAN_OK) result = obrolan_client_ack(client, obrolan_event_id(event));
        obrolan_event_free(event);
        if (result == OBROLAN_OK) result = obrolan_client_next(client, 1000, &event);
    }
    return result;
}

int main(int argc, char **argv) {
    obrolan_client *client = NULL;
    obrolan_result result;
    bool sends = argc == 5 && strcmp(argv[2], "send") == 0;
    bool fetches = argc == 4 && strcmp(argv[2], "fetch") == 0;
    if (!sends && !fetches) {
        fprintf(stderr, "usage: files URL send TO PATH | files URL fetch FOLDER\n");
        return 2;
    }
    signal(SIGINT, stop);
    result = obrolan_client_open(argv[1], NULL, NULL, &client);
    if (result == OBROLAN_OK) {
        result = sends ? send_file(client, argv[3], argv[4]) : fetch_files(client, argv[3]);
    }
    if (result != OBROLAN_OK) fprintf(stderr, "files: %s\n", obrolan_last_error());
    obrolan_client_free(client);
    return result == OBROLAN_OK ? 0 : 1;
}
