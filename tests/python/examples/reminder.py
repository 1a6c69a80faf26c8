"""A bot that reminds: ``/remind 90 tea`` says "tea" in 90 minutes. It forgets what it was told when it stops."""

import asyncio

import obrolan

bot = obrolan.Bot.from_env()
waiting: set[asyncio.Task[None]] = set()


@bot.on_command("/remind")
async def remind(msg: obrolan.Message) -> None:
    minutes, _, what = msg.argument.partition(" ")
    if not minutes.isdecimal() or not what:
        await msg.reply("write /remind MINUTES WHAT")
        return

    async def later() -> None:
        await asyncio.sleep(60 * int(minutes))
        await msg.reply(what)

    # A handler that slept so long would keep the conversation waiting.
    task = asyncio.create_task(later())
    waiting.add(task)
    task.add_done_callback(waiting.discard)
    await msg.reply(f"in {minutes} minutes")


if __name__ == "__main__":
    bot.run()
