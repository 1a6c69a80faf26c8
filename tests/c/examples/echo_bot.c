/*
 * A bot that answers every message with its text, and goes on when the server comes back.
 * Usage: echo_bot obrolan://USER:PASSWORD@HOST:PORT. SIGTERM ends it.
 */
#include <obrolan.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t stopping;

/* The first signal ends the bot after the message it is at, the second one at once. */
static void stop(int number) {
    stopping = number;
    signal(number, SIG_DFL);
}

/* Answers a message, and waits for as long as the server is away. */
static obrolan_result answer(obrolan_client *bot, const obrolan_event *message) {
    const char *group = obrolan_event_group(message);
    const char *text = obrolan_event_text(message);
    if (text == NULL) text = "I can only say what I can read.";
    if (group != NULL) return obrolan_client_send_group(bot, group, text, NULL);
    return obrolan_client_send(bot, obrolan_event_from(message), text, NULL);
}

/* Does what an event is about. */
static obrolan_result handle(obrolan_client *bot, const obrolan_event *event) {
    obrolan_result result;
    switch (obrolan_event_type(event)) {
    case OBROLAN_EVENT_MESSAGE:
        result = answer(bot, event);
        if (result == OBROLAN_ERR_REQUEST) {
            fprintf(stderr, "not answered: %s\n", obrolan_last_error());
        } else if (result != OBROLAN_OK) {
            return result; /* the message comes again to the next bot */
        }
        return obrolan_client_ack(bot, obrolan_event_id(event));
    case OBROLAN_EVENT_LOST:
        fprintf(stderr, "lost: %s\n", obrolan_event_text(event));
        return OBROLAN_OK;
    case OBROLAN_EVENT_CONNECTED:
        fprintf(stderr, "connected\n");
        return OBROLAN_OK;
    default:
        return OBROLAN_OK;
    }
}

int main(int argc, char **argv) {
    obrolan_client *bot = NULL;
    obrolan_event *event;
    obrolan_result result;
    if (argc != 2) {
        fprintf(stderr, "usage: echo_bot obrolan://USER:PASSWORD@HOST:PORT\n");
        return 2;
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    result = obrolan_client_open(argv[1], NULL, NULL, &bot);
    if (result == OBROLAN_OK) {
        fprintf(stderr, "connected\n");
        result = obrolan_client_set_timeout(bot, OBROLAN_NEVER);
    }
    while (result == OBROLAN_OK && !stopping) {
        result = obrolan_client_next(bot, 500, &event);
        if (result == OBROLAN_OK && event != NULL) {
            result = handle(bot, event);
            obrolan_event_free(event);
        }
    }
    if (result != OBROLAN_OK) fprintf(stderr, "echo_bot: %s\n", obrolan_last_error());
    obrolan_client_free(bot);
    return result == OBROLAN_OK ? 0 : 1;
}
