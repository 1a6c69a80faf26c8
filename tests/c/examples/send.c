/*
 * Sends one message, for scripts. Usage: send URL TO TEXT, where TO is a user, or a group after "#".
 */
#include <obrolan.h>
#include <stdio.h>

/* What scripts are told; the large numbers are those of sysexits.h. */
enum { OK = 0, FAILED = 1, USAGE = 2, NO_USER = 67, UNAVAILABLE = 69 };

static int status(obrolan_result result) {
    switch (result) {
    case OBROLAN_OK:
        return OK;
    case OBROLAN_ERR_ARGUMENT:
        return USAGE;
    case OBROLAN_ERR_REQUEST:
        return obrolan_last_code() == OBROLAN_CODE_NO_SUCH_USER ? NO_USER : FAILED;
    case OBROLAN_ERR_UNREACHABLE:
    case OBROLAN_ERR_TIMEOUT:
        return UNAVAILABLE;
    default:
        return FAILED;
    }
}

static obrolan_result send_to(const char *url, const char *to, const char *text, uint64_t *id) {
    obrolan_client *client = NULL;
    obrolan_client_options options;
    obrolan_result result = obrolan_client_options_default(&options, sizeof options);
    if (result != OBROLAN_OK) return result;
    options.messages = OBROLAN_MESSAGES_NONE;
    options.timeout_ms = 10000;
    result = obrolan_client_open_with(url, NULL, NULL, &options, &client);
    if (result != OBROLAN_OK) return result;
    if (to[0] == '#') {
        result = obrolan_client_send_group(client, to + 1, text, id);
    } else {
        result = obrolan_client_send(client, to, text, id);
    }
    obrolan_client_free(client);
    return result;
}

int main(int argc, char **argv) {
    uint64_t id = 0;
    obrolan_result result;
    if (argc != 4) {
        fprintf(stderr, "usage: send URL TO TEXT\n");
        return USAGE;
    }
    result = send_to(argv[1], argv[2], argv[3], &id);
    if (result == OBROLAN_OK) {
        printf("%llu\n", (unsigned long long)id);
    } else {
        fprintf(stderr, "send: %s\n", obrolan_last_error());
    }
    return status(result);
}
