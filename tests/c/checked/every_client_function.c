/* Calls every function of the client and of the server in this process, as two users who chat. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <obrolan.h>
#include <poll.h>
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

static bool same(const char *text, const char *other) { return text != NULL && strcmp(text, other) == 0; }

static obrolan_server *server;
static obrolan_client *ann, *bob;

/* The next event, which has to be of that kind. */
static obrolan_event *next(obrolan_client *client, obrolan_event_kind kind) {
    obrolan_event *event;
    OK(obrolan_client_next(client, 30000, &event));
    CHECK(obrolan_event_type(event) == kind);
    return event;
}

static void open_clients(void) {
    obrolan_client_options options;
    const char *url;
    OK(obrolan_server_open("listen = '127.0.0.1:0'\nstorage = 'memory'", &server));
    url = obrolan_server_url(server);
    OK(obrolan_client_register(url, "ann", "secret99", "ID", "Ann Wijaya"));
    OK(obrolan_client_register(url, "bob", "secret99", "ID", "Bob"));
    CHECK(obrolan_client_register(url, "bob", "secret99", "ID", "Bob") == OBROLAN_ERR_REQUEST);
    CHECK(obrolan_last_code() == OBROLAN_CODE_USER_EXISTS && same(obrolan_last_code_word(), "user_exists"));
    OK(obrolan_client_open(url, "ann", "secret99", &ann));
    OK(obrolan_client_options_default(&options, sizeof options));
    options.messages = OBROLAN_MESSAGES_UNCONFIRMED;
    OK(obrolan_client_open_with(url, "bob", "secret99", &options, &bob));
    OK(obrolan_client_set_timeout(bob, 30000));
    CHECK(obrolan_client_is_connected(ann));
}

static void messages(void) {
    struct pollfd polled = {obrolan_client_fd(bob), POLLIN, 0};
    obrolan_response *response;
    const obrolan_event *kept;
    obrolan_event *event;
    uint64_t id;
    OK(obrolan_client_send(ann, "bob", "halo", &id));
    CHECK(poll(&polled, 1, 30000) == 1);
    event = next(bob, OBROLAN_EVENT_MESSAGE);
    CHECK(obrolan_event_id(event) == id && obrolan_event_time(event) > 1600000000000);
    CHECK(same(obrolan_event_from(event), "ann") && same(obrolan_event_to(event), "bob"));
    CHECK(same(obrolan_event_text(event), "halo") && obrolan_event_group(event) == NULL);
    CHECK(!obrolan_event_resumed(event) && obrolan_event_count(event) == 0);
    OK(obrolan_client_inbox(bob, 0, &response));
    CHECK(obrolan_response_count(response, "messages") == 1);
    kept = obrolan_response_message(response, 0);
    CHECK(obrolan_event_id(kept) == id);
    obrolan_response_free(response);
    CHECK(obrolan_event_type(kept) == OBROLAN_EVENT_NONE);
    OK(obrolan_client_ack(bob, id));
    obrolan_event_free(event);
    OK(obrolan_client_history(bob, "ann", 0, 10, &response));
    CHECK(same(obrolan_event_text(obrolan_response_message(response, 0)), "halo"));
    obrolan_response_free(response);
}

static void groups(void) {
    obrolan_response *response;
    OK(obrolan_client_add_group(ann, "go"));
    OK(obrolan_client_join_group(bob, "go"));
    OK(obrolan_client_send_group(ann, "go", "semua", NULL));
    obrolan_event_free(next(bob, OBROLAN_EVENT_MESSAGE));
    OK(obrolan_client_list_group(ann, "go", &response));
    CHECK(same(obrolan_response_name(response, "members", 1), "bob"));
    obrolan_response_free(response);
    OK(obrolan_client_list_my_groups(ann, &response));
    CHECK(obrolan_response_count(response, "groups") == 1);
    obrolan_response_free(response);
    OK(obrolan_client_leave_group(bob, "go"));
    OK(obrolan_client_list_users(ann, NULL, &response));
    CHECK(same(obrolan_response_text(response, "/users/0"), "ann"));
    obrolan_response_free(response);
}

static bool progress(void *user_data, uint64_t done, uint64_t total) {
    *(uint64_t *)user_data = done;
    return done <= total;
}

static void files(const char *path, const char *copy) {
    static const uint8_t halo[] = {'h', 'a', 'l', 'o'};
    obrolan_response *response;
    obrolan_event *event;
    const uint8_t *bytes;
    uint64_t size, done = 0;
    size_t len;
    OK(obrolan_client_upload(ann, "salam.txt", 0, halo, sizeof halo, &size));
    CHECK(size == sizeof halo);
    OK(obrolan_client_send_upload(ann, "bob", "salam.txt", NULL));
    event = next(bob, OBROLAN_EVENT_MESSAGE);
    CHECK(same(obrolan_event_file_name(event), "salam.txt") && obrolan_event_file_size(event) == sizeof halo);
    OK(obrolan_client_get_file_part(bob, obrolan_event_file_id(event), 1, 2, &response));
    OK(obrolan_response_bytes(response, &bytes, &len));
    CHECK(len == 2 && memcmp(bytes, halo + 1, 2) == 0);
    obrolan_response_free(response);
    obrolan_event_free(event);
    OK(obrolan_client_upload(ann, "salam.txt", 0, halo, sizeof halo, NULL));
    OK(obrolan_client_send_group_upload(ann, "go", "salam.txt", NULL));

    OK(obrolan_client_send_group_file(ann, "go", path, NULL, NULL, NULL));
    OK(obrolan_client_send_file(ann, "bob", path, progress, &done, NULL));
    event = next(bob, OBROLAN_EVENT_MESSAGE);
    CHECK(done == obrolan_event_file_size(event));
    OK(obrolan_client_get_file(bob, obrolan_event_file_id(event), obrolan_event_file_sha256(event), copy,
                               progress, &done));
    obrolan_event_free(event);
}

static void the_rest(void) {
    obrolan_response *response;
    const obrolan_response *lent;
    obrolan_event *event;
    uint64_t request;
    OK(obrolan_client_ping(ann));
    OK(obrolan_client_help(ann, "PING", &response));
    CHECK(obrolan_response_has(response, "requests"));
    obrolan_response_free(response);
    OK(obrolan_client_whoami(ann, &response));
    CHECK(obrolan_response_bool(response, "admin"));
    obrolan_response_free(response);
    OK(obrolan_client_add_realm(ann, "barat", "10.0.0.2", 8889, NULL));
    OK(obrolan_client_list_realms(ann, &response));
    CHECK(obrolan_response_number(response, "/realms/0/port") == 8889);
    obrolan_response_free(response);
    OK(obrolan_client_passwd(ann, "secret99", "secret100"));
    OK(obrolan_client_request(ann, "SEND nobody halo", &response));
    CHECK(!obrolan_response_is_ok(response));
    CHECK(obrolan_response_code(response) == OBROLAN_CODE_NO_SUCH_USER);
    CHECK(strlen(obrolan_response_reason(response)) > 0);
    CHECK(strstr(obrolan_response_json(response), "\"no_such_user\"") != NULL);
    obrolan_response_free(response);
    OK(obrolan_client_post(ann, "PING", &request));
    event = next(ann, OBROLAN_EVENT_RESPONSE);
    lent = obrolan_event_response(event);
    CHECK(obrolan_event_request(event) == request && same(obrolan_response_data(lent), "pong"));
    obrolan_event_free(event);
    CHECK(obrolan_client_send(ann, "nobody", "halo", NULL) == OBROLAN_ERR_REQUEST);
    CHECK(same(obrolan_client_last_error(ann), obrolan_last_error()));
}

int main(int argc, char **argv) {
    obrolan_event *event;
    CHECK(argc == 3);
    CHECK(obrolan_has("client") && obrolan_has("server"));
    open_clients();
    messages();
    groups();
    files(argv[1], argv[2]);
    the_rest();
    OK(obrolan_client_logout(bob));
    CHECK(obrolan_client_next(bob, 0, &event) == OBROLAN_ERR_CLOSED);
    obrolan_client_free(bob);
    OK(obrolan_server_stop(server));
    obrolan_event_free(next(ann, OBROLAN_EVENT_CLOSING));
    obrolan_event_free(next(ann, OBROLAN_EVENT_LOST));
    OK(obrolan_client_close(ann));
    obrolan_client_free(ann);
    obrolan_server_free(server);
    return 0;
}
