/*
 * obrolan: a chat engine that other programs embed.
 *
 * The engine speaks the Chat Application Protocol: accounts, sessions, private and group messages,
 * files; one line a request, one JSON object a response. It is a state machine for any number of
 * connections: bytes and times go in; bytes to send, records to keep and work to do come out.
 * Sockets, disks and clocks are the program's.
 *
 * What holds for every function:
 *
 * - Names. obrolan_TYPE_VERB is a function on a handle of type obrolan_TYPE.
 * - Handles. A function ending in _new gives a handle, the one ending in _free takes it, once.
 *   Freeing NULL does nothing. A handle looks like a pointer and is none: it is looked up. So one
 *   that is NULL, was freed, is of another type or never was one is answered OBROLAN_ERR_HANDLE,
 *   and nothing happens.
 * - Inputs are copied: what a program passes is its own again when the function returns. Texts are
 *   UTF-8 and end with NUL. Bytes may be NULL where their number is 0. What a handle has lent must
 *   not be given back to the same handle.
 * - Pointers that a function returns are lent. They are good until the next call with the same
 *   handle as a parameter that is not const, or until the handle is freed.
 * - Out-parameters come last and are written only when OBROLAN_OK is returned. None may be NULL.
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
 * Whether the library has a feature: "engine" is the only one so far. NULL and unknown names are
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
  /** What was stored is damaged, or does not belong together. */
  OBROLAN_ERR_DAMAGED = 8,
  /** The engine does not take the connection: there are too many, or it is shutting down. */
  OBROLAN_ERR_REFUSED = 9,
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
 *
 * Ownership: the text is good until the next call of this thread fails, or the thread ends.
 * Threads: each has its own. Since 0.1.0.
 */
const char *obrolan_last_error(void);


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
   * Requests of a user that are remembered by their dedupe keys for 24 hours; one with another
   * key is answered busy. Default: 100000.
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

/** What obrolan_engine_next_timeout tells when there is nothing to wait for. */
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
