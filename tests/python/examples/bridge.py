"""A bot that carries messages between two groups it is in: BRIDGE names them, as ``jakarta:bandung``."""

import os

import obrolan

bot = obrolan.Bot.from_env(replay=True)
one, _, other = os.environ.get("BRIDGE", "one:other").partition(":")


def to(group: str, msg: obrolan.Message) -> str:
    """Return a key for what is carried: a bot that is killed in between carries no message twice."""
    return f"{msg.id} to {group}"


@bot.on_message(in_group=one)
async def there(msg: obrolan.Message) -> None:
    await bot.send_group(other, f"{msg.sender}: {msg.text}", key=to(other, msg))


@bot.on_message(in_group=other)
async def back(msg: obrolan.Message) -> None:
    await bot.send_group(one, f"{msg.sender}: {msg.text}", key=to(one, msg))


if __name__ == "__main__":
    bot.run()
