"""A bot that rolls dice: ``/roll 2d6``, or ``/roll`` and it asks."""

import random
import re

import obrolan

bot = obrolan.Bot.from_env()


@bot.on_command("/roll")
async def roll(msg: obrolan.Message) -> None:
    dice = msg.argument or (await msg.ask("Which dice? 2d6, say.")).text
    match = re.fullmatch(r"([1-9]\d?)d([1-9]\d?)", dice)
    if match is None:
        await msg.reply(f"{dice} are no dice; write 2d6 for two with six sides")
        return
    count, sides = (int(number) for number in match.groups())
    rolled = [random.randint(1, sides) for _ in range(count)]
    await msg.reply(f"{' + '.join(map(str, rolled))} = {sum(rolled)}")


@bot.on_message(in_group=False)
async def explain(msg: obrolan.Message) -> None:
    await msg.reply("write /roll 2d6")


if __name__ == "__main__":
    bot.run()
