"""A bot that says what it is told."""

import obrolan

bot = obrolan.Bot.from_env()  # OBROLAN_URL=obrolan://echo:secret99@localhost:8889


@bot.on_message  # private or group; never its own, never history
async def echo(msg: obrolan.Message) -> None:
    await msg.reply(msg.text)


if __name__ == "__main__":
    bot.run()  # reconnects; Ctrl-C and SIGTERM stop it cleanly
