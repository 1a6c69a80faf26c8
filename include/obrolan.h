/*
 * obrolan: a chat engine that other programs embed.
 *
 * It speaks the Chat Application Protocol: accounts, sessions, private and group messages, files;
 * one line a request, one JSON object a response. There are three ways in:
 *
 * - The client talks to a server as a user, over a connection that it keeps up by itself.
 * - The server runs inside the program, as the command "obrolan serve" runs by itself.
 * - The engine is what such a server has inside: a state machine for any number of connections.
 *   Bytes and times go in; bytes to send, records to keep and work to do come out. Sockets, disks
 *   and clocks are the program's.
 *
 * What holds for every function:
 *
 * - Names. obrolan_TYPE_VERB is a function on a handle of type obrolan_TYPE.
 * - Handles. A function ending in _new or _open gives a handle, the one ending in _free takes it,
 *   once. Freeing NULL does nothing. A handle looks like a pointer and is none: it is looked up. So
 *   one that is NULL, was freed, is of another type or never was one is answered
 *   OBROLAN_ERR_HANDLE, and nothing happens.
 * - Inputs are copied: what a program passes is its own again when the function returns. Texts are
 *   UTF-8 and end with NUL. Bytes may be NULL where their number is 0. What a handle has lent must
 *   not be given back to the same handle.
 * - Pointers that a function returns are lent. They are good until the next call with the same
 *   handle as a parameter that is not const, or until the handle is freed.
 * - Out-parameters come last and are written only when OBROLAN_OK is returned. None may be NULL
 *   where its description does not say so.
 * - Structs that a program fills begin with their size, and have a function that sets it and all
 *   other fields. So a program goes on working with a newer library, and is told when it needs a
 *   newer one.
 * - Errors are codes; obrolan_last_error has the words. A call that fails has changed nothing,
 *   unless its description says so.
 * - Threads. Different handles are independent of each other. One handle is for one thread at a
 *   time, any thread: a call while another thread is in a call with the same handle is answered
 *   OBROLAN_ERR_BUSY, and nothing happens. Where a type allows more, its description says so. To
 *   free a handle while another thread is in a call is safe: the object goes when that call
 *   returns.
 * - A bug inside the library that Rust notices is answered OBROLAN_ERR_PANIC, and its text goes to
 *   standard error. The handle takes no further call but _free. When memory runs out, the process
 *   is aborted.
 * - Times are milliseconds since 1970-01-01T00:00:00Z.
 */

#ifndef OBROLAN_H
#define OBROLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header, as a text and as a number that grows: 0.1.0 is 1000, 1.2.3 is 1002003. */
#define OBROLAN_VERSION "0.1.0"
#define OBROLAN_VERSION_NUMBER 1000

#ifdef __cplusplus
extern "C" {
#endif


/*
 * Version.
 *
 * OBROLAN_VERSION is the version of this header; the functions tell that of the library which the
 * program runs with.
 */

/**
 * The version of the library, as "0.1.0".
 *
 * Threads: any. Since 0.1.0.
 */
const char *obrolan_version(void);

/**
 * Whether the library has a feature: "engine", "client" or "server". NULL and unknown names are
 * none.
 *
 * Threads: any. Since 0.1.0.
 */
bool obrolan_has(const char *feature);


/*
 * Results.
 *
 * A function that can fail returns an obrolan_result.
 */

/** What became of a call. Codes keep their meaning, and others may be added. */
typedef enum {
  /** It is done. */
  OBROLAN_OK = 0,
  /** The handle is NULL, was freed, is of another type, or never was one. */
  OBROLAN_ERR_HANDLE = 1,
  /** A parameter is NULL where it must not be, or has a value that the function does not know. */
  OBROLAN_ERR_ARGUMENT = 2,
  /** A text is not UTF-8. */
  OBROLAN_ERR_UTF8 = 3,
  /** Another thread is in a call with the same handle. */
  OBROLAN_ERR_BUSY = 4,
  /**
   * A bug in the library, in this call or in an earlier one with the same handle. Nothing but to
   * free it is left.
   */
  OBROLAN_ERR_PANIC = 5,
  /** The call does not fit what came before it: a mistake of the program, never of a peer. */
  OBROLAN_ERR_MISUSE = 6,
  /** The configuration cannot be kept, or is of a newer version than the library. */
  OBROLAN_ERR_CONFIG = 7,
  /** What was stored or fetched is damaged, or does not belong together. */
  OBROLAN_ERR_DAMAGED = 8,
  /** The engine does not take the connection: there are too many, or it is shutting down. */
  OBROLAN_ERR_REFUSED = 9,
  /** The server was not reached: it does not run, or the network does not lead there. */
  OBROLAN_ERR_UNREACHABLE = 10,
  /** The server refused the login, for good or for now: obrolan_last_code tells why. */
  OBROLAN_ERR_AUTH = 11,
  /** The answer did not come in time. */
  OBROLAN_ERR_TIMEOUT = 12,
  /** The client was closed, or has quit. Nothing more comes of it. */
  OBROLAN_ERR_CLOSED = 13,
  /** The server answered ERROR: obrolan_last_code tells why. Nothing was changed there. */
  OBROLAN_ERR_REQUEST = 14,
  /** What was reached does not speak the protocol. */
  OBROLAN_ERR_PROTOCOL = 15,
  /** The operating system failed: a file, an address, a thread. */
  OBROLAN_ERR_IO = 16,
  /** Too much waits already: requests for their answers, or events to be taken. */
  OBROLAN_ERR_LIMIT = 17,
  /** The program's own progress function stopped the file. */
  OBROLAN_ERR_STOPPED = 18,
  /** This process was forked from one that has used clients or servers. Their threads are not here. */
  OBROLAN_ERR_FORKED = 19,
} obrolan_result;

/**
 * A code in words, without what is particular to a call. Any number may be given.
 *
 * Ownership: the text is static. Threads: any. Since 0.1.0.
 */
const char *obrolan_strerror(int code);

/**
 * Why the last call of this thread that failed did so: what happened, why, and what to do next.
 * Empty if none has failed.
 *
 * It tells of every function, also of those that have no handle yet, and of calls with a bad one.
 * Names and words of others may be in it: escape it where you show it.
 *
 * Ownership: the text is good until the next call of this thread fails, or the thread ends.
 * Threads: each has its own. Since 0.1.0.
 */
const char *obrolan_last_error(void);


/*
 * Codes.
 *
 * Why a server refused something: the codes of the protocol as numbers. Servers send them as words.
 */

/** Why a server refused something. Codes keep their meaning, and others may be added. */
typedef enum {
  /** There is no code: nothing was refused. */
  OBROLAN_CODE_NONE = 0,
  /** A code that this version of the library does not know; its word tells. */
  OBROLAN_CODE_OTHER = 1,
  /** The request name is not one of the protocol's. */
  OBROLAN_CODE_UNKNOWN_REQUEST = 2,
  /** Parameters are missing, surplus or not of their form. */
  OBROLAN_CODE_BAD_PARAMETERS = 3,
  /** A structured request that is no JSON object of the expected form. */
  OBROLAN_CODE_BAD_JSON = 4,
  /** The line is longer than the limit. */
  OBROLAN_CODE_TOO_LONG = 5,
  /** The line is not UTF-8. */
  OBROLAN_CODE_INVALID_UTF8 = 6,
  /** There is no live session to act for. */
  OBROLAN_CODE_NO_SESSION = 7,
  /** Unknown user or wrong password. */
  OBROLAN_CODE_BAD_CREDENTIALS = 8,
  /** Too many attempts; retry_after gives the seconds to wait. */
  OBROLAN_CODE_THROTTLED = 9,
  /** The password is shorter than the server accepts, or holds characters no password may hold. */
  OBROLAN_CODE_WEAK_PASSWORD = 10,
  /** The user name is taken. */
  OBROLAN_CODE_USER_EXISTS = 11,
  /** No user has that name. */
  OBROLAN_CODE_NO_SUCH_USER = 12,
  /** The name is no name. */
  OBROLAN_CODE_INVALID_NAME = 13,
  /** No group has that name. */
  OBROLAN_CODE_NO_SUCH_GROUP = 14,
  /** The group name is taken. */
  OBROLAN_CODE_GROUP_EXISTS = 15,
  /** The user is in the group already. */
  OBROLAN_CODE_ALREADY_MEMBER = 16,
  /** The user is not in the group. */
  OBROLAN_CODE_NOT_MEMBER = 17,
  /** The user may not do this. */
  OBROLAN_CODE_FORBIDDEN = 18,
  /** The recipient's mailbox is full. */
  OBROLAN_CODE_MAILBOX_FULL = 19,
  /** No such file, or not for this user. */
  OBROLAN_CODE_NO_SUCH_FILE = 20,
  /** The file's content is not base64. */
  OBROLAN_CODE_BAD_BASE64 = 21,
  /** The file or the user's files are over their quota. */
  OBROLAN_CODE_QUOTA_EXCEEDED = 22,
  /** No realm of that name was added. */
  OBROLAN_CODE_NO_SUCH_REALM = 23,
  /** The realm was added before. */
  OBROLAN_CODE_REALM_EXISTS = 24,
  /** The other realm cannot be reached. */
  OBROLAN_CODE_REALM_UNREACHABLE = 25,
  /** A limit of the server is reached; the same request may succeed later. */
  OBROLAN_CODE_BUSY = 26,
  /** The store failed; nothing was changed. */
  OBROLAN_CODE_UNAVAILABLE = 27,
} obrolan_code;

/**
 * Why a server refused what the last call of this thread that failed was about, if that was the
 * reason: OBROLAN_CODE_NONE otherwise.
 *
 * Threads: each has its own. Since 0.1.0.
 */
obrolan_code obrolan_last_code(void);

/**
 * The same in the word that the server sent, or NULL.
 *
 * Ownership: the text is good until the next call of this thread fails, or the thread ends.
 * Threads: each has its own. Since 0.1.0.
 */
const char *obrolan_last_code_word(void);


/*
 * Responses.
 *
 * What a server answered to a request. docs/protocol.md tells which fields the answer to a request
 * has.
 *
 * A field is named by its name, or, where it is inside of others, by a JSON Pointer (RFC 6901):
 * "users" is a list, "/users/0" the first name on it.
 *
 * A response does not change, so any number of threads may use it at once. Of a handle that is
 * none, the functions see nothing: NULL, 0 or false.
 */

/** What a server answered. */
typedef struct obrolan_response obrolan_response;

/**
 * Whether the server answered OK.
 *
 * Since 0.1.0.
 */
bool obrolan_response_is_ok(const obrolan_response *response);

/**
 * Why the server did not answer OK; OBROLAN_CODE_NONE if it did. The field "code" has the word.
 *
 * Since 0.1.0.
 */
obrolan_code obrolan_response_code(const obrolan_response *response);

/**
 * Why the server did not answer OK and what to do about it, in words. Empty if it did. With a code
 * that the library does not know, they are the server's own: escape them where you show them.
 *
 * Ownership: lent until the response is freed. Since 0.1.0.
 */
const char *obrolan_response_reason(const obrolan_response *response);

/**
 * The protocol's text for the outcome, the field "data". Empty where the answer is in other fields
 * alone.
 *
 * Ownership: lent until the response is freed. Since 0.1.0.
 */
const char *obrolan_response_data(const obrolan_response *response);

/**
 * Whether there is such a field.
 *
 * Since 0.1.0.
 */
bool obrolan_response_has(const obrolan_response *response, const char *field);

/**
 * A text. NULL if there is no such field, or it is no text.
 *
 * Ownership: lent until the response is freed. Since 0.1.0.
 */
const char *obrolan_response_text(const obrolan_response *response, const char *field);

/**
 * A number. 0 if there is no such field, or it is no number from 0 on.
 *
 * Since 0.1.0.
 */
uint64_t obrolan_response_number(const obrolan_response *response, const char *field);

/**
 * Whether a field is true. False if there is no such field.
 *
 * Since 0.1.0.
 */
bool obrolan_response_bool(const obrolan_response *response, const char *field);

/**
 * How many entries a list has. 0 if there is no such field, or it is no list.
 *
 * Since 0.1.0.
 */
size_t obrolan_response_count(const obrolan_response *response, const char *field);

/**
 * The entry of a list of names at a place, from 0 on. NULL if there is none.
 *
 * Ownership: lent until the response is freed. Since 0.1.0.
 */
const char *obrolan_response_name(const obrolan_response *response,
                                  const char *field,
                                  size_t index);

/**
 * The part of a file that obrolan_client_get_file_part fetched.
 *
 * Errors: OBROLAN_ERR_ARGUMENT if the response has none. OBROLAN_ERR_HANDLE. Ownership: the bytes
 * are lent until the response is freed. Since 0.1.0.
 */
obrolan_result obrolan_response_bytes(const obrolan_response *response,
                                      const uint8_t **bytes,
                                      size_t *len);

/**
 * All of the response, as a JSON object. The order of its fields means nothing.
 *
 * Ownership: lent until the response is freed. Since 0.1.0.
 */
const char *obrolan_response_json(const obrolan_response *response);

/**
 * Frees a response. NULL and a response that was freed are let be.
 *
 * Threads: any; see the head of this file. Since 0.1.0.
 */
void obrolan_response_free(obrolan_response *response);


/*
 * Events.
 *
 * What happened, from obrolan_client_next. Its type tells which of the functions have something to
 * say of it; the others say NULL, 0 or false, and so do all of a handle that is none.
 *
 * What peers have chosen, names, texts and names of files, is to be escaped where it is shown. The
 * name of a file is not fit to be used as a path as it is.
 *
 * An event does not change, so any number of threads may use it at once.
 */

/** What an event is about. Others may be added: leave them. */
typedef enum {
  /** The handle is none. */
  OBROLAN_EVENT_NONE = 0,
  /**
   * A message came in: _id, _from, _to or _group, _time, and either _text or _file_id,
   * _file_name, _file_size and _file_sha256. It comes again to the next client of this user until
   * obrolan_client_ack.
   */
  OBROLAN_EVENT_MESSAGE = 1,
  /** The client is logged in; _resumed tells whether it went on with the session it had. */
  OBROLAN_EVENT_CONNECTED = 2,
  /**
   * The connection is lost, or could not be made; _text tells why. The client goes on trying, and
   * OBROLAN_EVENT_CONNECTED tells when it is there again. Nothing is lost meanwhile.
   */
  OBROLAN_EVENT_LOST = 3,
  /** _count messages were lost because the mailbox was full. */
  OBROLAN_EVENT_GAP = 4,
  /** A request made with obrolan_client_post was answered: _request and _response. */
  OBROLAN_EVENT_RESPONSE = 5,
  /** The server stops, and is about to close the connection. */
  OBROLAN_EVENT_CLOSING = 6,
  /** The server refused to send messages; _text tells why. */
  OBROLAN_EVENT_NO_MESSAGES = 7,
} obrolan_event_kind;

/** What happened. */
typedef struct obrolan_event obrolan_event;

/**
 * What the event is about.
 *
 * Since 0.1.0.
 */
obrolan_event_kind obrolan_event_type(const obrolan_event *event);

/**
 * The id of the message, which obrolan_client_ack takes. It grows from message to message.
 *
 * Since 0.1.0.
 */
uint64_t obrolan_event_id(const obrolan_event *event);

/**
 * Who sent the message: "name", or "name@realm".
 *
 * Ownership: lent until the event is freed. Since 0.1.0.
 */
const char *obrolan_event_from(const obrolan_event *event);

/**
 * To whom the message was sent. NULL where it was sent to a group.
 *
 * Ownership: lent until the event is freed. Since 0.1.0.
 */
const char *obrolan_event_to(const obrolan_event *event);

/**
 * The group to which the message was sent. NULL where it was sent to a user.
 *
 * Ownership: lent until the event is freed. Since 0.1.0.
 */
const char *obrolan_event_group(const obrolan_event *event);

/**
 * The text of the message; NULL where it is a file. For LOST and NO_MESSAGES, why.
 *
 * Ownership: lent until the event is freed. Since 0.1.0.
 */
const char *obrolan_event_text(const obrolan_event *event);

/**
 * When the server accepted the message, in milliseconds since 1970-01-01T00:00:00Z.
 *
 * Since 0.1.0.
 */
uint64_t obrolan_event_time(const obrolan_event *event);

/**
 * The id of the file on the server, which obrolan_client_get_file takes. NULL where the message is
 * no file.
 *
 * Ownership: lent until the event is freed. Since 0.1.0.
 */
const char *obrolan_event_file_id(const obrolan_event *event);

/**
 * The name that the sender gave the file. NULL where the message is no file.
 *
 * Ownership: lent until the event is freed. Since 0.1.0.
 */
const char *obrolan_event_file_name(const obrolan_event *event);

/**
 * How many bytes the file has.
 *
 * Since 0.1.0.
 */
uint64_t obrolan_event_file_size(const obrolan_event *event);

/**
 * The SHA-256 of the file's content, in hex. NULL where the message is no file.
 *
 * Ownership: lent until the event is freed. Since 0.1.0.
 */
const char *obrolan_event_file_sha256(const obrolan_event *event);

/**
 * Whether the client went on with the session it had.
 *
 * Since 0.1.0.
 */
bool obrolan_event_resumed(const obrolan_event *event);

/**
 * How many messages were lost.
 *
 * Since 0.1.0.
 */
uint64_t obrolan_event_count(const obrolan_event *event);

/**
 * Which request was answered: the number that obrolan_client_post gave.
 *
 * Since 0.1.0.
 */
uint64_t obrolan_event_request(const obrolan_event *event);

/**
 * What the request was answered. NULL where the event is no RESPONSE.
 *
 * Ownership: lent until the event is freed, and not to be freed by itself. Since 0.1.0.
 */
const obrolan_response *obrolan_event_response(const obrolan_event *event);

/**
 * Frees an event. NULL and an event that was freed are let be.
 *
 * Threads: any; see the head of this file. Since 0.1.0.
 */
void obrolan_event_free(obrolan_event *event);

/**
 * A message of the response to INBOX or HISTORY at a place, from 0 on, as an event of type
 * OBROLAN_EVENT_MESSAGE. NULL if there is none. obrolan_response_count of "messages" tells how many
 * there are.
 *
 * Ownership: lent until the response is freed, and not to be freed by itself. Since 0.1.0.
 */
const obrolan_event *obrolan_response_message(const obrolan_response *response, size_t index);


/*
 * Options.
 *
 * How a client begins.
 */

/** Which messages come as events. Whatever it is, a lost connection loses none of them. */
typedef enum {
  /** All that are not confirmed, those that wait on the server first. */
  OBROLAN_MESSAGES_UNCONFIRMED = 0,
  /** Those of them with ids beyond the field after. */
  OBROLAN_MESSAGES_AFTER = 1,
  /** Those to come alone. */
  OBROLAN_MESSAGES_TO_COME = 2,
  /** None. */
  OBROLAN_MESSAGES_NONE = 3,
} obrolan_messages;

/** How a client begins. Have it set by obrolan_client_options_default before you change a field. */
typedef struct {
  /** The size of this struct, as the program knows it. */
  size_t size;
  /** Which messages come as events; an obrolan_messages. Default: OBROLAN_MESSAGES_UNCONFIRMED. */
  int messages;
  /**
   * Whether to open waits until the client is logged in, and fails if the first attempt does. If
   * 0, it returns at once, events tell how it goes, and a server that does not run yet is waited
   * for. Default: 1.
   */
  int wait;
  /** OBROLAN_MESSAGES_AFTER: the last message that is not wanted. Default: 0. */
  uint64_t after;
  /**
   * How long to open waits, and every request after it, in milliseconds; OBROLAN_NEVER for
   * without end. Default: 30000.
   */
  uint64_t timeout_ms;
} obrolan_client_options;

/**
 * Sets all fields to their defaults. size is sizeof(obrolan_client_options).
 *
 * Errors: OBROLAN_ERR_ARGUMENT if options is NULL, or if the library is older than the header that
 * the program was built with. Threads: any. Since 0.1.0.
 */
obrolan_result obrolan_client_options_default(obrolan_client_options *options, size_t size);


/*
 * Client.
 *
 * A client talks to a server as a user. It has a thread of its own, which connects, logs in, and
 * after a lost connection connects and logs in again, for as long as the client lives. What was
 * asked and not answered is sent again on the next connection, and done once. Messages come as
 * events, each once to a client, and again to the next client of this user until
 * obrolan_client_ack.
 *
 * Its thread never calls the program: events are taken with obrolan_client_next, and
 * obrolan_client_fd tells the event loops of others when there are some.
 *
 * Threads: any number may use one client at once, each waiting for its own answers. When a client
 * is closed or freed, those that wait in it are answered OBROLAN_ERR_CLOSED.
 *
 * Processes: the child of a fork does not have the client's thread. There, every call with a client
 * of the parent is answered OBROLAN_ERR_FORKED, and to free one does nothing to the parent's. Nor
 * can the child open a client or a server, unless none was used before the fork. A program that is
 * started after a fork can, and does not see the client's descriptors.
 *
 * Errors of all functions on a client, besides those they name: OBROLAN_ERR_HANDLE,
 * OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8, OBROLAN_ERR_FORKED.
 */

/** A client. */
typedef struct obrolan_client obrolan_client;

/**
 * Connects to a server and logs in, with the options that obrolan_client_options_default sets.
 *
 * url is "obrolan://USER:PASSWORD@HOST:PORT". The port may be left out (8889), and user and
 * password may be given apart, or be NULL if the URL has them.
 *
 * Waits until the client is logged in, 30 seconds at most.
 *
 * Errors: OBROLAN_ERR_UNREACHABLE, OBROLAN_ERR_PROTOCOL if that is no obrolan server,
 * OBROLAN_ERR_AUTH (obrolan_last_code tells why), OBROLAN_ERR_TIMEOUT, OBROLAN_ERR_IO if the system
 * has no thread or descriptor to give, OBROLAN_ERR_FORKED. OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8.
 * There is no client then. Ownership: the program frees the client with obrolan_client_free.
 * Threads: any. Since 0.1.0.
 */
obrolan_result obrolan_client_open(const char *url,
                                   const char *user,
                                   const char *password,
                                   obrolan_client **out);

/**
 * The same with other options. NULL for options is those of obrolan_client_open.
 *
 * Errors: those of obrolan_client_open. OBROLAN_ERR_ARGUMENT if the options are of a newer version
 * than the library, or one has a value that is none. Ownership, threads: the same. Since 0.1.0.
 */
obrolan_result obrolan_client_open_with(const char *url,
                                        const char *user,
                                        const char *password,
                                        const obrolan_client_options *options,
                                        obrolan_client **out);

/**
 * Makes an account, over a connection of its own that ends with it. It needs no client; to log in
 * is obrolan_client_open.
 *
 * url, user and password are as for obrolan_client_open. country is a text of the user's choice, of
 * one word, "ID" say; name is the name to be shown, which may have spaces. Waits 30 seconds at
 * most.
 *
 * Errors: OBROLAN_ERR_REQUEST if the server refuses: the name is taken, the password too short
 * (obrolan_last_code). Otherwise those of obrolan_client_open. Threads: any. Since 0.1.0.
 */
obrolan_result obrolan_client_register(const char *url,
                                       const char *user,
                                       const char *password,
                                       const char *country,
                                       const char *name);

/**
 * Sets how long the requests of all threads wait for their answers from now on, in milliseconds;
 * OBROLAN_NEVER for without end. At first it is what the options said.
 *
 * While there is no connection, requests wait for one. One that has waited too long is answered
 * OBROLAN_ERR_TIMEOUT; it may have been done, or be done yet.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_set_timeout(obrolan_client *client, uint64_t ms);

/**
 * Takes the next event, waiting for it timeout_ms at most: 0 does not wait, OBROLAN_NEVER waits
 * without end. *out is NULL if none came.
 *
 * Each event is given to one thread. The messages that wait here are bounded: others stay in the
 * mailbox on the server until events were taken.
 *
 * Errors: OBROLAN_ERR_CLOSED when the client is closed and all events are taken; OBROLAN_ERR_AUTH
 * when the server has refused the login for good, because the password has changed, say. Nothing
 * more comes then. Ownership: the program frees the event with obrolan_event_free. Since 0.1.0.
 */
obrolan_result obrolan_client_next(obrolan_client *client,
                                   uint64_t timeout_ms,
                                   obrolan_event **out);

/**
 * A descriptor that is readable exactly while obrolan_client_next would not wait, for poll, select,
 * epoll and the event loops built on them. -1 if the handle is none.
 *
 * Ownership: the client's, until it is freed: to be polled, and not to be read, written or closed.
 * Since 0.1.0.
 */
int obrolan_client_fd(const obrolan_client *client);

/**
 * Whether the client is logged in right now. False if the handle is none.
 *
 * Since 0.1.0.
 */
bool obrolan_client_is_connected(const obrolan_client *client);

/**
 * Closes the client: it waits a second at most for what was asked and confirmed to be answered, if
 * there is a connection, then ends it. Threads that wait in the client are answered
 * OBROLAN_ERR_CLOSED. The session stays on the server until it has not been used for long;
 * obrolan_client_logout ends it. A client that is closed already is let be.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_close(obrolan_client *client);

/**
 * Closes a client, as obrolan_client_close does, and frees it. NULL and a client that was freed are
 * let be.
 *
 * Threads: any, also while others wait in the client. Since 0.1.0.
 */
void obrolan_client_free(obrolan_client *client);

/**
 * Why the last call of this thread that failed did so, as obrolan_last_error tells it, if it was
 * one with this client; empty if not. For a handle that is none, the words for that. Never NULL.
 *
 * Ownership: the text is good until the next call of this thread fails, or the thread ends.
 * Threads: each has its own. Since 0.1.0.
 */
const char *obrolan_client_last_error(const obrolan_client *client);


/*
 * Requests.
 *
 * Every request of the protocol, one function each, those of files in a section of their own;
 * docs/protocol.md says all about them. Each waits for its answer, as long as
 * obrolan_client_set_timeout says, while other threads go on using the client. To have many
 * requests on their way at once is obrolan_client_post.
 *
 * What was sent again because its answer was lost with the connection is done once.
 *
 * Errors of all of them, besides those they name: OBROLAN_ERR_REQUEST if the server answers ERROR
 * (obrolan_last_code tells why, and nothing was changed), OBROLAN_ERR_TIMEOUT, OBROLAN_ERR_CLOSED,
 * OBROLAN_ERR_AUTH if the server has refused the login for good, OBROLAN_ERR_LIMIT if too many
 * requests wait, and those of all functions on a client. OBROLAN_ERR_ARGUMENT is also a name or a
 * text that is empty.
 *
 * Ids and responses may be left out: NULL where they would go. A response is the program's, which
 * frees it with obrolan_response_free.
 *
 * AUTH, RESUME and SUBSCRIBE are not here, because the client makes them itself; QUIT, because
 * obrolan_client_close is enough; REGISTER is obrolan_client_register.
 */

/**
 * Sends a message to a user, present or not. id is the message's.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_send(obrolan_client *client,
                                   const char *to,
                                   const char *message,
                                   uint64_t *id);

/**
 * Sends a message to every other member of a group. id is the message's.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_send_group(obrolan_client *client,
                                         const char *group,
                                         const char *message,
                                         uint64_t *id);

/**
 * Makes a group. The user owns it, and is its first member.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_add_group(obrolan_client *client, const char *group);

/**
 * Joins a group.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_join_group(obrolan_client *client, const char *group);

/**
 * Leaves a group. The last member to leave ends it.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_leave_group(obrolan_client *client, const char *group);

/**
 * Tells the server of another one, for admins. fingerprint may be NULL.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_add_realm(obrolan_client *client,
                                        const char *name,
                                        const char *ip,
                                        uint16_t port,
                                        const char *fingerprint);

/**
 * Lists users: "users" has the names, sorted. The first 10000, or those after a name; if there are
 * more, "next" is the name to go on after. after may be NULL.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_list_users(obrolan_client *client,
                                         const char *after,
                                         obrolan_response **response);

/**
 * Lists the groups that the user is in: "groups" has the names, sorted.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_list_my_groups(obrolan_client *client, obrolan_response **response);

/**
 * Lists the members of a group that the user is in: "members" has the names, sorted. NULL for group
 * is the one that the session last added, joined or sent to.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_list_group(obrolan_client *client,
                                         const char *group,
                                         obrolan_response **response);

/**
 * Fetches the oldest messages that are not confirmed, up to 100 with ids beyond after:
 * obrolan_response_message has them, "more" tells whether there are others.
 *
 * The messages that come as events are the same ones. This is for clients that open with
 * OBROLAN_MESSAGES_NONE.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_inbox(obrolan_client *client,
                                    uint64_t after,
                                    obrolan_response **response);

/**
 * Confirms all messages up to an id: they leave the mailbox, and do not come again.
 *
 * Does not wait. If the connection is lost before the server has heard of it, it is told on the
 * next one; if the client ends before, the messages come again. To confirm every message as it is
 * dealt with costs little: many at once are one request.
 *
 * Errors: those of all functions on a client. Since 0.1.0.
 */
obrolan_result obrolan_client_ack(obrolan_client *client, uint64_t id);

/**
 * Fetches messages with a user or of a group that the user is in, confirmed or not, newest last:
 * those before the message of an id, or the last ones if before is 0; at most limit, from 1 to 100,
 * or 50 if it is 0. obrolan_response_message has them, "more" tells whether there are older ones.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_history(obrolan_client *client,
                                      const char *with,
                                      uint64_t before,
                                      uint64_t limit,
                                      obrolan_response **response);

/**
 * Sees whether the server is there, and answers.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_ping(obrolan_client *client);

/**
 * Lists the requests that the server knows: "requests" has an object for each. NULL for name is
 * all.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_help(obrolan_client *client,
                                   const char *name,
                                   obrolan_response **response);

/**
 * Changes the user's password. Other sessions of the user end, and this client logs in with the new
 * one from now on.
 *
 * It may have been changed also if the answer did not come in time (OBROLAN_ERR_TIMEOUT), or if the
 * connection was lost meanwhile and the old password was refused after that. Since 0.1.0.
 */
obrolan_result obrolan_client_passwd(obrolan_client *client,
                                     const char *old_password,
                                     const char *new_password);

/**
 * Tells who the user is: "user", "name", "country", and "admin", which is true or false.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_whoami(obrolan_client *client, obrolan_response **response);

/**
 * Lists the realms that the server was told of: "realms" has an object for each, with its "name",
 * so "/realms/0/name" is that of the first.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_list_realms(obrolan_client *client, obrolan_response **response);

/**
 * Ends the session on the server, then closes the client, as obrolan_client_close does.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_logout(obrolan_client *client);

/**
 * Makes any request, as a line of the protocol without its end, and waits for the answer, OK or
 * ERROR: both are OBROLAN_OK here, and obrolan_response_is_ok tells them apart.
 *
 * A request that the library knows, written as a line of words for the client's own session, is
 * done once whatever happens to the connection. Others go out as they are, and if the connection is
 * lost before the answer comes, they are sent again: write those as JSON objects, with a "dedupe"
 * key.
 *
 * Errors: OBROLAN_ERR_ARGUMENT if it is not one line. Otherwise as above, without
 * OBROLAN_ERR_REQUEST. Since 0.1.0.
 */
obrolan_result obrolan_client_request(obrolan_client *client,
                                      const char *line,
                                      obrolan_response **response);

/**
 * Makes any request, as obrolan_client_request does, and does not wait. The answer comes as an
 * event of type OBROLAN_EVENT_RESPONSE, in the order of the requests. request is the number that
 * the event will have, from 1 on; it may be left out.
 *
 * Errors: OBROLAN_ERR_LIMIT also if 10000 events wait to be taken. Otherwise those of
 * obrolan_client_request, without OBROLAN_ERR_TIMEOUT. Since 0.1.0.
 */
obrolan_result obrolan_client_post(obrolan_client *client, const char *line, uint64_t *request);


/*
 * Files.
 *
 * Whole files, part by part: a broken connection costs a part, not the file. Each part waits as
 * long as obrolan_client_set_timeout says.
 *
 * Errors of all of them, besides those they name: OBROLAN_ERR_IO if the file cannot be read or
 * written here, OBROLAN_ERR_STOPPED if the progress function stopped it, and those of requests.
 */

/**
 * Told how many bytes of a file have passed, of how many in all. Returns whether to go on.
 *
 * It is called by the thread that sends or gets the file, inside that call, with the user_data
 * given there. It must return: no exception and no longjmp may leave it.
 */
typedef bool (*obrolan_progress)(void *user_data, uint64_t done, uint64_t total);

/**
 * Sends the file at a path to a user, under the last part of the path. progress may be NULL. id is
 * the message's, and may be left out.
 *
 * Errors: OBROLAN_ERR_ARGUMENT also if the file is empty, or its name is not UTF-8 or no name of a
 * file. If it fails, the server drops by and by what it has. Since 0.1.0.
 */
obrolan_result obrolan_client_send_file(obrolan_client *client,
                                        const char *to,
                                        const char *path,
                                        obrolan_progress progress,
                                        void *user_data,
                                        uint64_t *id);

/**
 * Sends the file at a path to every other member of a group, as obrolan_client_send_file does to a
 * user.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_send_group_file(obrolan_client *client,
                                              const char *group,
                                              const char *path,
                                              obrolan_progress progress,
                                              void *user_data,
                                              uint64_t *id);

/**
 * Fetches a file that the user sent or was sent, to a path: in place of what is there, and only
 * when all of it has come. file_id and sha256 are those of its message; sha256 may be NULL, and
 * then the content is not compared. progress may be NULL.
 *
 * Errors: OBROLAN_ERR_DAMAGED if what came is not what was sent. What was at the path is as it was
 * then. Since 0.1.0.
 */
obrolan_result obrolan_client_get_file(obrolan_client *client,
                                       const char *file_id,
                                       const char *sha256,
                                       const char *path,
                                       obrolan_progress progress,
                                       void *user_data);


/*
 * Files in parts.
 *
 * The requests of which obrolan_client_send_file and obrolan_client_get_file make whole files, for
 * programs that have the content elsewhere than in a file. All that is said of requests is true of
 * them.
 */

/**
 * Sends to a user the upload of that name (obrolan_client_upload). id is the message's.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_send_upload(obrolan_client *client,
                                          const char *to,
                                          const char *filename,
                                          uint64_t *id);

/**
 * Sends to every other member of a group the upload of that name. id is the message's.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_send_group_upload(obrolan_client *client,
                                                const char *group,
                                                const char *filename,
                                                uint64_t *id);

/**
 * Adds len bytes to the user's upload of that name, from offset on: 0, or the size so far. A name
 * of a file has no separator. size is that of the upload, with this part.
 *
 * A part may have some 700000 bytes, as a line has 1 MiB at most. obrolan_client_send_file does all
 * of this for a file.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_upload(obrolan_client *client,
                                     const char *filename,
                                     uint64_t offset,
                                     const uint8_t *bytes,
                                     size_t len,
                                     uint64_t *size);

/**
 * Fetches a part of a file that the user sent or was sent: length bytes from offset on, or as many
 * as the server gives at once if length is 0. obrolan_response_bytes has them; the field "size" is
 * that of the file, "next" where the next part begins, unless this is the last.
 * obrolan_client_get_file does all of this for a file.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_client_get_file_part(obrolan_client *client,
                                            const char *file_id,
                                            uint64_t offset,
                                            uint64_t length,
                                            obrolan_response **response);


/*
 * Server.
 *
 * A whole server inside the program, on threads of its own: for tests, and for small deployments.
 * It takes no signals and writes no log. Clients reach it by its URL, whatever process they are in.
 *
 * Threads: any number may use one server at once. Processes: as with a client, the child of a fork
 * has no server, and can open none.
 */

/** A server in this process. */
typedef struct obrolan_server obrolan_server;

/**
 * Starts a server. toml is its configuration, with the keys of the configuration file
 * (docs/operating.md): "listen = '127.0.0.1:0'\nstorage = 'memory'" is a server that forgets all
 * when it is stopped, on a port that the system chooses.
 *
 * When it returns, clients can connect. It raises the limit of open descriptors of this process as
 * far as the system allows, because each connection takes one.
 *
 * Errors: OBROLAN_ERR_CONFIG if the configuration cannot be kept, OBROLAN_ERR_IO if the address is
 * taken or the data folder cannot be used, OBROLAN_ERR_DAMAGED if what is there is damaged.
 * OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8. Ownership: the program frees the server with
 * obrolan_server_free. Threads: any. Since 0.1.0.
 */
obrolan_result obrolan_server_open(const char *toml, obrolan_server **out);

/**
 * Where clients on this machine reach the server: "obrolan://127.0.0.1:40123". NULL if the handle
 * is none, or of a process that this one was forked from.
 *
 * Ownership: lent until the server is freed. Since 0.1.0.
 */
const char *obrolan_server_url(const obrolan_server *server);

/**
 * Stops the server and waits until it has: subscribers are told, what was asked is answered, all is
 * stored. One that is stopped already is let be.
 *
 * Errors: OBROLAN_ERR_IO if it could not go on, now or earlier; what was answered OK is stored.
 * OBROLAN_ERR_HANDLE, OBROLAN_ERR_FORKED. Since 0.1.0.
 */
obrolan_result obrolan_server_stop(obrolan_server *server);

/**
 * Stops a server, as obrolan_server_stop does, and frees it. NULL and a server that was freed are
 * let be.
 *
 * Since 0.1.0.
 */
void obrolan_server_free(obrolan_server *server);


/*
 * Configuration.
 *
 * What an engine is told once, at its start.
 */

/** Who does the work of a service. */
typedef enum {
  /** The engine itself, at once and in memory. */
  OBROLAN_SERVICE_INSIDE = 0,
  /**
   * The program: the work leaves as an output of a type OBROLAN_ASK_... and returns by
   * obrolan_engine_answer.
   */
  OBROLAN_SERVICE_HOST = 1,
} obrolan_service;

/**
 * The configuration of an engine. Have it set by obrolan_config_default before you change a field.
 *
 * A limit of 0 never means unlimited: it is refused. In a field that is a choice, every number but
 * 0 means yes.
 */
typedef struct {
  /** The size of this struct, as the program knows it. */
  size_t size;
  /** This server's own name: "name@realm" means "name" here. Default: "localhost". */
  const char *realm;
  /**
   * Whether the program keeps a journal. If so, outputs of type OBROLAN_OUTPUT_PERSIST tell of
   * every record, and nothing that a record could reveal leaves before obrolan_engine_persisted.
   * If not, the engine forgets all when it is freed. Default: 0.
   */
  int persistence;
  /**
   * Who hashes and verifies passwords, some 20 ms of work and 19 MiB each; an obrolan_service.
   * Default: 0.
   */
  int passwords;
  /**
   * Who keeps the bodies of messages; an obrolan_service. The program gets them with the
   * journal, so this needs persistence. Default: 0.
   */
  int messages;
  /**
   * Who keeps the contents of files; an obrolan_service. The engine keeps them in memory, and if
   * there is a journal, in that too. Default: 0.
   */
  int files;
  /**
   * Whether anybody may register; otherwise admins alone. The first account may always be
   * registered. Default: 1.
   */
  int registration_open;
  /** Whether LIST_USERS is for sessions only; others are shown an empty list. Default: 0. */
  int list_users_needs_session;
  /** Whether the limits on attempts to log in hold for peers on this machine too. Default: 0. */
  int throttle_loopback;
  /**
   * The shortest password, in characters. A server that others can reach should ask for 8.
   * Default: 1.
   */
  size_t min_password_length;
  /** The admins' user names. If there are none, the first account registered is the admin. */
  const char *const *admins;
  /** How many admins there are. Default: 0. */
  size_t admins_count;
  /** Connections at a time. Default: 20000. */
  size_t connections;
  /** Bytes of a line on a connection without a session. Default: 8192. */
  size_t line_before_session;
  /** Bytes of a line on a connection with a session. Default: 1048576. */
  size_t line;
  /**
   * Bytes of unfinished lines on all connections together, and of parts of files on their way to
   * the program; a line beyond is answered busy. Default: 268435456.
   */
  size_t input_buffer;
  /**
   * Bytes waiting to be sent on a connection, beyond which it takes no further request and is
   * pushed no event. Default: 65536.
   */
  size_t output_buffer;
  /**
   * Bytes waiting to be sent on all connections together, beyond which a request with a large
   * answer is answered busy. Default: 1073741824.
   */
  size_t output_total;
  /** Unconfirmed messages of a user. Default: 10000. */
  size_t mailbox_messages;
  /** Sessions of a user; the oldest makes room. Default: 32. */
  size_t sessions_per_user;
  /** Milliseconds after which an unused session ends. Default: 2592000000. */
  uint64_t session_idle;
  /**
   * Milliseconds after which a connection without a session is closed if no request comes. One
   * that is ending is closed after as long without a byte sent, whatever is left. Default:
   * 300000.
   */
  uint64_t idle_before_session;
  /** Members of a group. Default: 10000. */
  size_t group_members;
  /** Groups that a user is in. Default: 1000. */
  size_t groups_per_user;
  /**
   * Requests of a user that are remembered by their dedupe keys for 24 hours; the oldest
   * make room. Default: 100000.
   */
  size_t dedupe_keys;
  /** Accounts. Default: 1000000. */
  size_t users;
  /** Realms. Default: 1000. */
  size_t realms;
  /**
   * Passwords being hashed or verified at a time; requests beyond are answered busy. Default:
   * 256.
   */
  size_t password_queue;
  /**
   * Bytes of message bodies in memory when the engine itself keeps them; messages beyond are
   * answered busy. Default: 268435456.
   */
  size_t memory_messages;
  /** Bytes of a file. Default: 67108864. */
  uint64_t file_size;
  /**
   * Bytes of all files that a user sent or has not finished uploading. A file counts as 4096
   * bytes and 4 bytes for each recipient at least. Default: 1073741824.
   */
  uint64_t user_files;
  /** Uploads of a user that are not finished. Default: 16. */
  size_t uploads_per_user;
  /** Bytes of all files in memory when the engine itself keeps them. Default: 67108864. */
  size_t memory_files;
} obrolan_config;

/**
 * Sets all fields to their defaults: everything in memory, all services inside. size is
 * sizeof(obrolan_config).
 *
 * Errors: OBROLAN_ERR_ARGUMENT if config is NULL. OBROLAN_ERR_CONFIG if the library is older than
 * the header that the program was built with. Ownership: the texts set are static. Threads: any.
 * Since 0.1.0.
 */
obrolan_result obrolan_config_default(obrolan_config *config, size_t size);


/*
 * Outputs.
 *
 * What an engine wants done. After every input, take outputs by obrolan_engine_next_output until
 * there is none, and do what they say, in that order.
 */

/**
 * What an output is about. Others may be added: leave them, but answer those that have a ticket
 * with OBROLAN_ANSWER_FAILED.
 */
typedef enum {
  /**
   * Write record to the journal as number seq. When it is durable, say so with
   * obrolan_engine_persisted. The first record is 1, and no number is left out.
   *
   * If message is not 0, the record brings the message of that number, and prev is the one
   * before it in its conversation, or 0. The message's body begins at body_at and goes to the
   * end. A program that keeps messages (OBROLAN_SERVICE_HOST) may store the record up to there
   * in the journal, and the body with prev under the message's number.
   */
  OBROLAN_OUTPUT_PERSIST = 1,
  /** obrolan_engine_outgoing has bytes for conn. Told once until all of them are sent. */
  OBROLAN_OUTPUT_WRITABLE = 2,
  /** conn takes bytes again. */
  OBROLAN_OUTPUT_READABLE = 3,
  /**
   * Close conn, for the given reason: all that was to be sent is sent, or was not read for too
   * long. The engine does not know its number any more.
   */
  OBROLAN_OUTPUT_CLOSE = 4,
  /**
   * For a log: an account named user was made over conn. The name was chosen by a peer: escape
   * it where you show it.
   */
  OBROLAN_OUTPUT_REGISTERED = 5,
  /** For a log: user logged in over conn. */
  OBROLAN_OUTPUT_LOGGED_IN = 6,
  /** For a log: an attempt to log in over conn failed. */
  OBROLAN_OUTPUT_LOGIN_FAILED = 7,
  /** For a log: an attempt to log in over conn was refused because there were too many. */
  OBROLAN_OUTPUT_THROTTLED = 8,
  /** Hash password with salt, by obrolan_password_hash. Answer: OBROLAN_ANSWER_PASSWORD_HASH. */
  OBROLAN_ASK_HASH_PASSWORD = 16,
  /**
   * Verify password against hash, by obrolan_password_verify. Answer:
   * OBROLAN_ANSWER_PASSWORD_MATCHES.
   */
  OBROLAN_ASK_VERIFY_PASSWORD = 17,
  /**
   * Read the bodies of the ids_count messages ids, in this order. After budget bytes, no further
   * one is wanted. The reader must see every record that came out of the engine before. Answer:
   * OBROLAN_ANSWER_MESSAGES.
   */
  OBROLAN_ASK_READ_MESSAGES = 18,
  /**
   * Read at most limit messages of one conversation backwards, each leading to the next by the
   * prev it was stored with, until one is not beyond floor. If before is 0, begin at newest. If
   * not, read the message before itself, which may be of any conversation, and begin at the one
   * before it. After budget bytes, no further one is wanted. Answer: OBROLAN_ANSWER_HISTORY.
   */
  OBROLAN_ASK_READ_HISTORY = 19,
  /**
   * Keep bytes as a part of an upload, from offset on: its end, the beginning of its last part,
   * or 0. What is there from offset on is replaced. If this fails, the upload ends here. What is
   * asked about one upload is done in order. The engine numbers uploads from 1, anew at every
   * start: they need not outlive the program. Answer: OBROLAN_ANSWER_DONE.
   */
  OBROLAN_ASK_APPEND_UPLOAD = 20,
  /**
   * Keep an upload for good, under the SHA-256 of its content; equal contents are kept once. The
   * upload is over then. Answer: OBROLAN_ANSWER_FILE_STORED, when it is durable.
   */
  OBROLAN_ASK_FINISH_UPLOAD = 21,
  /** Forget an upload, if it is there. Answer: OBROLAN_ANSWER_DONE. */
  OBROLAN_ASK_DROP_UPLOAD = 22,
  /**
   * Read length bytes of the content sha256, from offset on; all of them are there. Answer:
   * OBROLAN_ANSWER_FILE_BYTES.
   */
  OBROLAN_ASK_READ_FILE = 23,
} obrolan_output_type;

/** Why the engine closes a connection. Others may be added. */
typedef enum {
  /** The peer said QUIT. */
  OBROLAN_CLOSE_QUIT = 0,
  /** The peer closed its side, and everything was answered. */
  OBROLAN_CLOSE_PEER_CLOSED = 1,
  /** There was no session and no request for idle_before_session. */
  OBROLAN_CLOSE_IDLE = 2,
  /** The engine is shutting down. */
  OBROLAN_CLOSE_STOPPING = 3,
} obrolan_close_reason;

/** A connection of an engine. 0 is none. Numbers are not used again. */
typedef uint64_t obrolan_conn;

/**
 * Bytes. On POSIX, an array of these has the layout of an array of struct iovec, which sendmsg and
 * writev take.
 */
typedef struct {
  /** The first of them. */
  const uint8_t *data;
  /** How many they are. */
  size_t len;
} obrolan_slice;

/**
 * One thing to do. Its type tells which fields mean something; the others are 0. What its pointers
 * lead to is lent, as it is itself.
 */
typedef struct {
  /** What it is about. */
  obrolan_output_type type;
  /** CLOSE: why. */
  obrolan_close_reason reason;
  /** WRITABLE, READABLE, CLOSE, REGISTERED, LOGGED_IN, LOGIN_FAILED, THROTTLED: the connection. */
  obrolan_conn conn;
  /** REGISTERED, LOGGED_IN: the user's name. */
  const char *user;
  /** PERSIST: the record's number. */
  uint64_t seq;
  /** PERSIST: the record. */
  obrolan_slice record;
  /** PERSIST: the message that the record brings, or 0. */
  uint64_t message;
  /** PERSIST: the message before that one, or 0. */
  uint64_t prev;
  /** PERSIST: where the message's body begins in the record. */
  size_t body_at;
  /**
   * All that begin with ASK: to be given back with the answer. Never 0; in all other outputs, it
   * is.
   */
  uint64_t ticket;
  /**
   * HASH_PASSWORD, VERIFY_PASSWORD: the password. It is wiped from memory by the next call of
   * obrolan_engine_next_output.
   */
  const char *password;
  /** VERIFY_PASSWORD: what to verify against. */
  const char *hash;
  /** HASH_PASSWORD: the salt. */
  uint8_t salt[16];
  /** READ_MESSAGES: the messages, at least one. */
  const uint64_t *ids;
  /** READ_MESSAGES: how many they are. */
  size_t ids_count;
  /** READ_HISTORY: the conversation's last message. */
  uint64_t newest;
  /** READ_HISTORY: the message to begin before, or 0. */
  uint64_t before;
  /** READ_HISTORY: messages up to this one are not to be read. */
  uint64_t floor;
  /** READ_HISTORY: how many are wanted at most; 1 or more. */
  size_t limit;
  /** READ_MESSAGES, READ_HISTORY: bytes of bodies after which no further one is wanted. */
  size_t budget;
  /** APPEND_UPLOAD, FINISH_UPLOAD, DROP_UPLOAD: the upload. */
  uint64_t upload;
  /** APPEND_UPLOAD, READ_FILE: where the part begins. */
  uint64_t offset;
  /** APPEND_UPLOAD: the part. */
  obrolan_slice bytes;
  /** READ_FILE: how many bytes to read. */
  size_t length;
  /** READ_FILE: which content. */
  uint8_t sha256[32];
} obrolan_output;


/*
 * Answers.
 *
 * The work of an output that begins with OBROLAN_ASK, done.
 */

/** What an answer is. */
typedef enum {
  /** The work could not be done. The peer is answered unavailable. */
  OBROLAN_ANSWER_FAILED = 0,
  /** It is done. */
  OBROLAN_ANSWER_DONE = 1,
  /** hash is the password's hash, a PHC string. */
  OBROLAN_ANSWER_PASSWORD_HASH = 2,
  /** matches tells whether the password was right. */
  OBROLAN_ANSWER_PASSWORD_MATCHES = 3,
  /**
   * messages are bodies: at least the first one asked for, and more of them in order as long as
   * the ones before stay within the budget.
   */
  OBROLAN_ANSWER_MESSAGES = 4,
  /**
   * messages are bodies, the newest first; at least one, if there is one. They end where no
   * message is left above the floor, or where the program keeps no older ones. before is the
   * body of the message of that name, if one was given and is kept. more tells whether a next
   * one could be read too.
   */
  OBROLAN_ANSWER_HISTORY = 5,
  /** A content of file_size bytes, as many as were appended, is durable as sha256. */
  OBROLAN_ANSWER_FILE_STORED = 6,
  /** bytes are those of the content, as many as were asked for. */
  OBROLAN_ANSWER_FILE_BYTES = 7,
} obrolan_answer_type;

/** An answer. Have it set by obrolan_answer_init, then set the fields of its type. */
typedef struct {
  /** The size of this struct, as the program knows it. */
  size_t size;
  /** An obrolan_answer_type. */
  int type;
  /** PASSWORD_MATCHES: 0 if the password was wrong. */
  int matches;
  /** HISTORY: 0 if there is no next one. */
  int more;
  /** PASSWORD_HASH: the hash. */
  const char *hash;
  /** MESSAGES, HISTORY: the bodies. */
  const obrolan_slice *messages;
  /** MESSAGES, HISTORY: how many they are. */
  size_t messages_count;
  /** HISTORY: the body of before; its data is NULL if there is none. */
  obrolan_slice before;
  /** FILE_BYTES: the bytes. */
  obrolan_slice bytes;
  /** FILE_STORED: how many bytes the content has. */
  uint64_t file_size;
  /** FILE_STORED: the SHA-256 of the content. */
  uint8_t sha256[32];
} obrolan_answer;

/**
 * Sets the type of an answer, an obrolan_answer_type, and all other fields to 0. size is
 * sizeof(obrolan_answer).
 *
 * Errors: OBROLAN_ERR_ARGUMENT if answer is NULL, if there is no such type, or if the library is
 * older than the header that the program was built with. Threads: any. Since 0.1.0.
 */
obrolan_result obrolan_answer_init(obrolan_answer *answer, size_t size, int type);


/*
 * The engine.
 *
 * One engine holds all connections of a server. The program tells it what happens on them and what
 * time it is; after every such call, it does what obrolan_engine_next_output says. Several calls
 * may be made before the outputs are taken, which lets a program write in batches. The same seed
 * and the same inputs give the same outputs, whatever pieces the bytes come in.
 */

/** What obrolan_engine_next_timeout tells when there is nothing to wait for; as a timeout of others, one without end. */
#define OBROLAN_NEVER UINT64_MAX

/** How a connection ended at the peer's side. */
typedef enum {
  /**
   * The peer sends nothing more, and may still read: what it asked is answered, then comes
   * OBROLAN_OUTPUT_CLOSE.
   */
  OBROLAN_CLOSED_EOF = 0,
  /** The connection is gone. The engine forgets it at once. */
  OBROLAN_CLOSED_GONE = 1,
} obrolan_closed;

/** An engine. */
typedef struct obrolan_engine obrolan_engine;

/**
 * Makes an engine that knows nobody.
 *
 * seed is 32 random bytes from the operating system, new at every start: session ids and the keys
 * of hashes come from it.
 *
 * Errors: OBROLAN_ERR_CONFIG if the configuration cannot be kept. OBROLAN_ERR_ARGUMENT,
 * OBROLAN_ERR_UTF8. Ownership: the program frees the engine with obrolan_engine_free. Threads:
 * any. Since 0.1.0.
 */
obrolan_result obrolan_engine_new(const obrolan_config *config,
                                  const uint8_t seed[32],
                                  uint64_t now_ms,
                                  obrolan_engine **out);

/**
 * Frees an engine. What it would have said is lost; nothing that is durable is. NULL and an engine
 * that was freed are let be.
 *
 * Threads: any; see the head of this file. Since 0.1.0.
 */
void obrolan_engine_free(obrolan_engine *engine);

/**
 * A connection was made. ip is the peer's address in text, against which attempts to log in are
 * counted; NULL if the peer is this process or this machine, by other ways than an address.
 *
 * Errors: OBROLAN_ERR_REFUSED: close the connection. OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8. Since
 * 0.1.0.
 */
obrolan_result obrolan_engine_connect(obrolan_engine *engine,
                                      uint64_t now_ms,
                                      const char *ip,
                                      obrolan_conn *out);

/**
 * len bytes came in on a connection.
 *
 * All are taken, unless the connection has to wait: for work that the program was asked for, or
 * for the peer to read what it asked for. consumed tells how many were; the program keeps the
 * others and offers them again after OBROLAN_OUTPUT_READABLE. wants_read tells whether the
 * connection takes more now; if not, the same output tells when it does.
 *
 * Errors: OBROLAN_ERR_MISUSE if there is no such connection, or if obrolan_engine_peer_closed was
 * called for it. OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_engine_receive(obrolan_engine *engine,
                                      uint64_t now_ms,
                                      obrolan_conn conn,
                                      const uint8_t *bytes,
                                      size_t len,
                                      size_t *consumed,
                                      bool *wants_read);

/**
 * The peer ended the connection; how is an obrolan_closed.
 *
 * Errors: OBROLAN_ERR_MISUSE if there is no such connection. OBROLAN_ERR_ARGUMENT if how is none.
 * Since 0.1.0.
 */
obrolan_result obrolan_engine_peer_closed(obrolan_engine *engine,
                                          uint64_t now_ms,
                                          obrolan_conn conn,
                                          int how);

/**
 * The next thing to do. *out is NULL when all is done.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Ownership: the output is lent. Since 0.1.0.
 */
obrolan_result obrolan_engine_next_output(obrolan_engine *engine, const obrolan_output **out);

/**
 * What is to be sent on a connection now: fills at most capacity slices, in order. *count tells
 * how many; 0 if there is nothing, or no such connection. If it is capacity, there may be more: it
 * is seen once these are sent.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Ownership: the bytes are lent. Since 0.1.0.
 */
obrolan_result obrolan_engine_outgoing(const obrolan_engine *engine,
                                       obrolan_conn conn,
                                       obrolan_slice *slices,
                                       size_t capacity,
                                       size_t *count);

/**
 * count bytes of what was to be sent on a connection were sent.
 *
 * Errors: OBROLAN_ERR_MISUSE if there is no such connection, or if there were not so many bytes.
 * Since 0.1.0.
 */
obrolan_result obrolan_engine_sent(obrolan_engine *engine,
                                   uint64_t now_ms,
                                   obrolan_conn conn,
                                   size_t count);

/**
 * Whether a connection takes bytes now. If not, OBROLAN_OUTPUT_READABLE tells when it does. One
 * that is not there takes none.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_engine_wants_read(const obrolan_engine *engine,
                                         obrolan_conn conn,
                                         bool *out);

/**
 * All records up to number up_to are durable. What was held behind them may leave.
 *
 * Errors: OBROLAN_ERR_MISUSE if not all of them are on their way to the journal. Since 0.1.0.
 */
obrolan_result obrolan_engine_persisted(obrolan_engine *engine, uint64_t now_ms, uint64_t up_to);

/**
 * The record number from and all after it could not be made durable, and will not be.
 *
 * What was answered in reliance on them becomes unavailable, and so is every request until
 * obrolan_engine_restore: nothing was changed.
 *
 * Errors: OBROLAN_ERR_MISUSE if the record is not on its way to the journal. Since 0.1.0.
 */
obrolan_result obrolan_engine_persist_failed(obrolan_engine *engine,
                                             uint64_t now_ms,
                                             uint64_t from);

/**
 * Returns the work of an output, named by its ticket. Each is answered once. If its connection is
 * gone by now, nothing happens.
 *
 * Errors: OBROLAN_ERR_MISUSE if no such work is asked, or if the answer is not what was asked for;
 * answer again then. OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8. Since 0.1.0.
 */
obrolan_result obrolan_engine_answer(obrolan_engine *engine,
                                     uint64_t now_ms,
                                     uint64_t ticket,
                                     const obrolan_answer *answer);

/**
 * When to call obrolan_engine_handle_timeout if nothing comes in before, or OBROLAN_NEVER.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_engine_next_timeout(const obrolan_engine *engine, uint64_t *out);

/**
 * Does what is due by now: closes idle connections, ends unused sessions, drops unused uploads.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_engine_handle_timeout(obrolan_engine *engine, uint64_t now_ms);

/**
 * Takes no further connection and no further request. Subscribers are told; what was asked is
 * answered and sent, and every connection comes out as OBROLAN_OUTPUT_CLOSE when it is.
 *
 * Since 0.1.0.
 */
obrolan_result obrolan_engine_shutdown(obrolan_engine *engine, uint64_t now_ms);

/**
 * How many connections are open.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_engine_connections(const obrolan_engine *engine, size_t *out);

/**
 * How many accounts there are.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_engine_accounts(const obrolan_engine *engine, size_t *out);

/**
 * SHA-256 of every content of a file that a message names, some of them more than once: fills at
 * most capacity times 32 bytes. *count tells how many there are in all. A program that keeps files
 * (OBROLAN_SERVICE_HOST) has no use for what it keeps besides.
 *
 * Takes time in proportion to the number of files. Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_engine_file_digests(const obrolan_engine *engine,
                                           uint8_t *digests,
                                           size_t capacity,
                                           size_t *count);

/**
 * SHA-256 of the state, 32 bytes: equal states have equal digests. Takes time and memory in
 * proportion to the state.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_engine_digest(const obrolan_engine *engine, uint8_t digest[32]);

/**
 * Why the last call with this engine that failed did so, whichever thread made it. Empty if none
 * has failed.
 *
 * For a handle that is none, or is in use by another thread, or is lost to a bug: the words for
 * that. Never NULL.
 *
 * Ownership: the text is good until the next call with the engine fails, or it is freed. Since
 * 0.1.0.
 */
const char *obrolan_engine_last_error(const obrolan_engine *engine);


/*
 * Snapshots and recovery.
 *
 * From what a program has stored back to an engine: the snapshot if there is one, then every
 * record after it in order, then obrolan_recovery_start.
 */

/**
 * An engine that is being rebuilt. Once it was started, or given to obrolan_engine_restore, it is
 * used up and waits to be freed.
 */
typedef struct obrolan_recovery obrolan_recovery;

/**
 * The whole state of an engine at a point of the journal.
 *
 * Threads: a snapshot does not change, so any number of threads may use it at once, also while its
 * engine goes on.
 */
typedef struct obrolan_snapshot obrolan_snapshot;

/**
 * Takes a snapshot of an engine, bodies of messages and contents of files included if the engine
 * keeps them.
 *
 * Takes time and memory in proportion to the state.
 *
 * Errors: OBROLAN_ERR_MISUSE if the store failed: until obrolan_engine_restore, the state is not
 * what is durable. OBROLAN_ERR_ARGUMENT. Ownership: the program frees the snapshot with
 * obrolan_snapshot_free. Since 0.1.0.
 */
obrolan_result obrolan_engine_snapshot(const obrolan_engine *engine, obrolan_snapshot **out);

/**
 * What a snapshot holds: the bytes that obrolan_recovery_snapshot takes, and the number of the
 * last record in them. A program may drop the journal up to there once the bytes are durable, and
 * must not use them before that record is durable itself.
 *
 * Errors: OBROLAN_ERR_ARGUMENT. Ownership: the bytes are lent until the snapshot is freed.
 * Threads: any number at once. Since 0.1.0.
 */
obrolan_result obrolan_snapshot_bytes(const obrolan_snapshot *snapshot,
                                      uint64_t *seq,
                                      const uint8_t **bytes,
                                      size_t *len);

/**
 * Frees a snapshot. NULL and a snapshot that was freed are let be.
 *
 * Threads: any; see the head of this file. Since 0.1.0.
 */
void obrolan_snapshot_free(obrolan_snapshot *snapshot);

/**
 * Begins to rebuild an engine. seed is as for obrolan_engine_new: new, not what it was.
 *
 * Errors: OBROLAN_ERR_CONFIG if the configuration cannot be kept. OBROLAN_ERR_ARGUMENT,
 * OBROLAN_ERR_UTF8. Ownership: the program frees the recovery with obrolan_recovery_free. Threads:
 * any. Since 0.1.0.
 */
obrolan_result obrolan_recovery_new(const obrolan_config *config,
                                    const uint8_t seed[32],
                                    obrolan_recovery **out);

/**
 * Takes a snapshot; first of all, and at most one.
 *
 * Errors: OBROLAN_ERR_DAMAGED if it does not read, or came late; free the recovery.
 * OBROLAN_ERR_MISUSE if the recovery is used up. OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_recovery_snapshot(obrolan_recovery *recovery,
                                         const uint8_t *bytes,
                                         size_t len);

/**
 * Takes the record number seq, the next one.
 *
 * Errors: OBROLAN_ERR_DAMAGED if it does not read, or is not the next one; free the recovery.
 * OBROLAN_ERR_MISUSE if the recovery is used up. OBROLAN_ERR_ARGUMENT. Since 0.1.0.
 */
obrolan_result obrolan_recovery_record(obrolan_recovery *recovery,
                                       uint64_t seq,
                                       const uint8_t *record,
                                       size_t len);

/**
 * Makes the engine, as it was after the last record. The recovery is used up, whether this
 * succeeds or not, unless out is NULL.
 *
 * Errors: OBROLAN_ERR_DAMAGED if the engine is to keep messages or files itself, and one did not
 * come with the journal. OBROLAN_ERR_MISUSE if the recovery is used up. OBROLAN_ERR_ARGUMENT.
 * Ownership: the program frees the engine with obrolan_engine_free. Since 0.1.0.
 */
obrolan_result obrolan_recovery_start(obrolan_recovery *recovery,
                                      uint64_t now_ms,
                                      obrolan_engine **out);

/**
 * Goes on after obrolan_engine_persist_failed with what is durable, as recovered from the store.
 * Connections stay; a session that was not durable is gone. The recovery is used up, whether this
 * succeeds or not.
 *
 * Errors: OBROLAN_ERR_MISUSE if the store has not failed, if the recovery lacks records that are
 * durable, or if it is used up. OBROLAN_ERR_DAMAGED as of obrolan_recovery_start.
 * OBROLAN_ERR_HANDLE if either handle is none. The engine is as it was then. Since 0.1.0.
 */
obrolan_result obrolan_engine_restore(obrolan_engine *engine,
                                      uint64_t now_ms,
                                      obrolan_recovery *recovery);

/**
 * Frees a recovery. NULL and a recovery that was freed are let be.
 *
 * Threads: any; see the head of this file. Since 0.1.0.
 */
void obrolan_recovery_free(obrolan_recovery *recovery);

/**
 * Why the last call with this recovery that failed did so, as obrolan_engine_last_error tells it
 * of an engine.
 *
 * Ownership: the text is good until the next call with the recovery fails, or it is freed. Since
 * 0.1.0.
 */
const char *obrolan_recovery_last_error(const obrolan_recovery *recovery);


/*
 * Passwords.
 *
 * For programs that answer OBROLAN_ASK_HASH_PASSWORD and OBROLAN_ASK_VERIFY_PASSWORD, on a thread
 * of their own. They need no handle.
 */

/** Bytes of a password's hash, its NUL included. */
#define OBROLAN_PASSWORD_HASH_SIZE 128

/**
 * Hashes a password to a PHC string, by argon2id. Takes some 20 ms and 19 MiB.
 *
 * Errors: OBROLAN_ERR_ARGUMENT if it is no password: it is empty, or holds a control character.
 * OBROLAN_ERR_UTF8. Threads: any number at once. Since 0.1.0.
 */
obrolan_result obrolan_password_hash(const char *password,
                                     const uint8_t salt[16],
                                     char hash[OBROLAN_PASSWORD_HASH_SIZE]);

/**
 * Whether a password has this hash. Takes as long as to hash it. A string that is no hash fits no
 * password.
 *
 * Errors: as of obrolan_password_hash. Threads: any number at once. Since 0.1.0.
 */
obrolan_result obrolan_password_verify(const char *password, const char *hash, bool *out);

#ifdef __cplusplus
}
#endif

#endif
