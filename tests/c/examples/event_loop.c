/*
 * The client in somebody else's event loop: poll() on it and on standard input. Lines typed are sent
 * to one user, what comes in is shown. Usage: event_loop URL TO. The end of the input ends it.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <ctype.h>
#include <obrolan.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static obrolan_client *client;
static const char *to;
static int unanswered;

/* Shows a text of somebody else, who may have put anything into it. */
static void show(const char *who, const char *text) {
    printf("%s: ", who);
    for (; *text; text++) putchar(iscntrl((unsigned char)*text) ? '?' : *text);
    printf("\n");
    fflush(stdout);
}

/* Sends a line without waiting: the answer comes as an event. */
static bool typed(const char *line) {
    char request[2000];
    snprintf(request, sizeof request, "SEND %s %s", to, line);
    if (obrolan_client_post(client, request, NULL) != OBROLAN_OK) return false;
    unanswered++;
    return true;
}

/* Takes all events that wait. */
static bool take_events(void) {
    obrolan_event *event;
    while (obrolan_client_next(client, 0, &event) == OBROLAN_OK) {
        const obrolan_response *response = obrolan_event_response(event);
        if (event == NULL) return true;
        if (response != NULL) {
            unanswered--;
            if (!obrolan_response_is_ok(response)) show("not sent", obrolan_response_reason(response));
        } else if (obrolan_event_type(event) == OBROLAN_EVENT_MESSAGE) {
            const char *text = obrolan_event_text(event);
            show(obrolan_event_from(event), text != NULL ? text : obrolan_event_file_name(event));
            obrolan_client_ack(client, obrolan_event_id(event));
        }
        obrolan_event_free(event);
    }
    return false;
}

/* Reads what was typed, and sends what is a whole line of it. False at the end. */
static bool read_input(void) {
    static char line[1000];
    static size_t length;
    char c;
    for (;;) {
        struct pollfd more = {STDIN_FILENO, POLLIN, 0};
        if (poll(&more, 1, 0) <= 0) return true;
        if (read(STDIN_FILENO, &c, 1) <= 0) return false;
        if (c != '\n' && length < sizeof line - 1) {
            line[length++] = c;
        } else if (c == '\n' && length > 0) {
            line[length] = '\0';
            length = 0;
            if (!typed(line)) return false;
        }
    }
}

int main(int argc, char **argv) {
    bool open = true, good = true;
    if (argc != 3) {
        fprintf(stderr, "usage: event_loop obrolan://USER:PASSWORD@HOST:PORT TO\n");
        return 2;
    }
    to = argv[2];
    if (obrolan_client_open(argv[1], NULL, NULL, &client) != OBROLAN_OK) good = false;
    while (good && (open || unanswered > 0)) {
        struct pollfd polled[2] = {{obrolan_client_fd(client), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        poll(polled, open ? 2 : 1, -1);
        if (polled[0].revents) good = take_events();
        if (open && polled[1].revents) open = read_input();
    }
    if (!good) fprintf(stderr, "event_loop: %s\n", obrolan_last_error());
    obrolan_client_free(client);
    return good ? 0 : 1;
}
