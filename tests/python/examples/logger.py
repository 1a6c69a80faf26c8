"""A bot that keeps what is said in its groups, in SQLite: CHAT_LOG names the file.

It is confirmed when it is stored, and what was said while the bot was away comes when it is back: nothing is missing.
"""

import os
import sqlite3

import obrolan

bot = obrolan.Bot.from_env(replay=True)


def store(msg: obrolan.Message) -> None:
    """Store a message; one that comes again is there already."""
    log = sqlite3.connect(os.environ.get("CHAT_LOG", "chat.db"))
    with log:
        log.execute(
            "CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, time TEXT, place TEXT, sender TEXT, text TEXT)"
        )
        text = msg.text if msg.file is None else f"[file {msg.file.name}]"
        row = (msg.id, msg.time.isoformat(), msg.group, msg.sender, text)
        log.execute("INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?)", row)
    log.close()


# Plain functions run on threads of their own: SQLite may take its time.
bot.on_message(in_group=True)(store)
bot.on_file(in_group=True)(store)


if __name__ == "__main__":
    bot.run()
