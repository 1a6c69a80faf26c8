"""The order in which a bot handles messages.

Messages of one conversation are handled one after the other, those of different ones at the same time. A handler that asks its
message's sender something lets the conversation go on; the answer is handled by it, in the answer's own turn.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from obrolan.errors import ApiMisuse, Timeout
from obrolan.pending import Pending

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Coroutine

    from obrolan.aio import AsyncClient
    from obrolan.client import Progress
    from obrolan.events import File, Message

__all__ = ["Ledger", "Turn", "Turns"]

T = TypeVar("T")

#: So many messages may wait for their turns before no other is taken.
MOST = 1000


class Ledger:
    """Confirms messages that are done with. Confirming one confirms those before it, so the oldest that is not done holds up all."""

    def __init__(self, confirm: Callable[[int], None]) -> None:
        """Begin with no message."""
        self._confirm = confirm
        self._open: deque[list[int]] = deque()

    def begin(self, number: int) -> Callable[[], None]:
        """Note a message, newer than those before; what is returned is to be called when it is done."""
        entry = [number]
        self._open.append(entry)

        def done() -> None:
            entry.append(number)
            last = 0
            while self._open and len(self._open[0]) > 1:
                last = self._open.popleft()[0]
            if last:
                self._confirm(last)

        return done


class _Question:
    """A question that waits for its answer."""

    def __init__(self, turn: Turn, timeout: float | None) -> None:
        self.turn = turn
        self.timeout = timeout
        self.answer: asyncio.Future[Message] = turn.turns.loop.create_future()


class Turn:
    """A handler's work on one message."""

    task: asyncio.Task[None]

    def __init__(
        self, turns: Turns, conversation: _Conversation, message: Message, done: Callable[[], None]
    ) -> None:
        """Bind the message to this turn."""
        self.turns = turns
        self.message = dataclasses.replace(message, _turn=self)
        self._conversation = conversation
        #: Of the messages that this turn has to do with.
        self._done = [done]
        self._replies = 0
        #: The handler is done, or waits for an answer.
        self._rests = asyncio.Event()

    async def begin(self, handle: Callable[[Message], Coroutine[object, object, None]]) -> None:
        """Let the handler work until it is done or asks."""
        self.task = self.turns.loop.create_task(handle(self.message))
        self.task.add_done_callback(self._ended)
        await self._rests.wait()

    async def go_on(self, question: _Question, answer: tuple[Message, Callable[[], None]] | None) -> None:
        """Let the handler work on with the answer, or without, until it is done or asks again."""
        self._rests.clear()
        if answer is None:
            question.answer.set_exception(Timeout(f"no answer came within {question.timeout:g} seconds"))
        else:
            message, done = answer
            self._done.append(done)
            question.answer.set_result(dataclasses.replace(message, _turn=self))
        await self._rests.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._conversation.forget(self)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Exception):
            # It is meant to end the program, and the loop has it.
            self.turns.end(error)
        elif not task.cancelled():
            for done in self._done:
                done()
        self._rests.set()
        self.turns.over(self)

    def _key(self) -> str:
        """Return a key that this reply has in every process that handles the message."""
        self._replies += 1
        return f"reply-{self.message.id}-{self._replies}"

    def reply(self, text: str) -> Pending[int]:
        """Send a text to where the message came from."""
        return self.turns.pending(self._send(text, self._key()))

    def _send(self, text: str, key: str) -> Coroutine[object, object, int]:
        client, message = self.turns.client, self.message
        if message.group is not None:
            return client.send_group(message.group, text, key=key)
        return client.send(message.sender, text, key=key)

    def reply_file(
        self, source: str | os.PathLike[str] | bytes, name: str | None, progress: Progress | None
    ) -> Pending[int]:
        """Send a file to where the message came from."""
        client, message, key = self.turns.client, self.message, self._key()
        if message.group is not None:
            return self.turns.pending(
                client.send_group_file(message.group, source, name=name, key=key, progress=progress)
            )
        return self.turns.pending(
            client.send_file(message.sender, source, name=name, key=key, progress=progress)
        )

    def save_file(self, file: File, path: str | os.PathLike[str], progress: Progress | None) -> Pending[int]:
        """Fetch a file of the message."""
        return self.turns.pending(self.turns.client.save_file(file, path, progress=progress))

    def ask(self, text: str, timeout: float | None) -> Pending[Message]:
        """Send a text, and wait for the sender's next message."""
        return self.turns.pending(self._ask(text, self._key(), timeout))

    async def _ask(self, text: str, key: str, timeout: float | None) -> Message:
        question = _Question(self, timeout)
        self._conversation.ask(self.message.sender, question)
        try:
            await self._send(text, key)
            expiry = None
            if timeout is not None:
                expire = self._conversation.expire
                expiry = self.turns.loop.call_later(timeout, expire, self.message.sender, question)
            self._rests.set()
            try:
                return await question.answer
            finally:
                if expiry is not None:
                    expiry.cancel()
        finally:
            self._conversation.forget(self)

    @property
    def is_over(self) -> bool:
        """Whether the handler has returned."""
        return self.task.done()

    @property
    def is_resting(self) -> bool:
        """Whether the handler waits for an answer."""
        return self._rests.is_set()


class _Conversation:
    """The messages of a group, or of one user."""

    def __init__(self, turns: Turns, name: tuple[bool, str]) -> None:
        self._turns = turns
        self._name = name
        self._queue: deque[Callable[[], Awaitable[None]]] = deque()
        self._questions: dict[str, _Question] = {}
        self._worker: asyncio.Task[None] | None = None

    def put(self, message: Message, done: Callable[[], None]) -> None:
        async def work() -> None:
            question = self._questions.pop(message.sender, None)
            if question is not None and not question.answer.done():
                await question.turn.go_on(question, (message, done))
            else:
                await self._turns.begin(Turn(self._turns, self, message, done))

        self._append(work)

    def ask(self, sender: str, question: _Question) -> None:
        if question.turn.is_over:
            raise ApiMisuse("the handler of this message has returned; ask before it does")
        if sender in self._questions:
            raise ApiMisuse(f"{sender} was asked something and has not answered yet; wait for that")
        self._questions[sender] = question

    def expire(self, sender: str, question: _Question) -> None:
        """Let a handler go on without an answer, in its turn."""

        async def work() -> None:
            if self._questions.get(sender) is question and not question.answer.done():
                del self._questions[sender]
                await question.turn.go_on(question, None)

        self._append(work)

    def forget(self, turn: Turn) -> None:
        """Drop what a handler has asked and does not wait for any more."""
        for sender, question in list(self._questions.items()):
            if question.turn is turn:
                del self._questions[sender]
                question.answer.cancel()
        self._turns.forget_idle(self._name)

    @property
    def is_idle(self) -> bool:
        return self._worker is None and not self._questions

    def _append(self, work: Callable[[], Awaitable[None]]) -> None:
        self._queue.append(work)
        self._turns.one_more()
        if self._worker is None:
            self._worker = self._turns.loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._queue and not self._turns.stopping:
                work = self._queue.popleft()
                async with self._turns.slots:
                    await work()
                self._turns.one_less()
        finally:
            self._worker = None
            self._turns.forget_idle(self._name)


class Turns:
    """All conversations of a running bot."""

    def __init__(
        self,
        client: AsyncClient,
        handle: Callable[[Message], Coroutine[object, object, None]],
        concurrency: int,
    ) -> None:
        """Begin with none."""
        self.client = client
        self._handle = handle
        self.loop = asyncio.get_running_loop()
        self.slots = asyncio.Semaphore(concurrency)
        self.ledger = Ledger(client.confirm)
        self._working: set[Turn] = set()
        self.stopping = False
        #: What a handler has let out to end the program.
        self.fatal: asyncio.Future[BaseException] = self.loop.create_future()
        self._conversations: dict[tuple[bool, str], _Conversation] = {}
        self._waiting = 0
        self._room = asyncio.Event()

    async def take(self, message: Message) -> None:
        """Have a message handled in its turn. Waits while too many wait."""
        while self._waiting >= MOST:
            self._room.clear()
            await self._room.wait()
        name = (message.group is not None, message.group or message.sender)
        conversation = self._conversations.get(name)
        if conversation is None:
            conversation = self._conversations[name] = _Conversation(self, name)
        conversation.put(message, self.ledger.begin(message.id))

    async def begin(self, turn: Turn) -> None:
        """Let a turn begin."""
        self._working.add(turn)
        await turn.begin(self._handle)

    def over(self, turn: Turn) -> None:
        """Note that a handler has returned."""
        self._working.discard(turn)
        self._room.set()

    def end(self, error: BaseException) -> None:
        """Begin no further turn, for a handler has let out what is to end the program."""
        self.stopping = True
        if not self.fatal.done():
            self.fatal.set_result(error)

    def one_more(self) -> None:
        """Note that something waits for its turn."""
        self._waiting += 1

    def one_less(self) -> None:
        """Note that it had its turn."""
        self._waiting -= 1
        self._room.set()

    def forget_idle(self, name: tuple[bool, str]) -> None:
        """Drop a conversation in which nothing is going on."""
        conversation = self._conversations.get(name)
        if conversation is not None and conversation.is_idle:
            del self._conversations[name]

    async def drain(self, patience: float) -> None:
        """Begin no further turn, and wait for those that are under way. Handlers that wait for answers are stopped."""
        self.stopping = True
        for turn in self._working:
            if turn.is_resting:
                turn.task.cancel()
        if self._working:
            await asyncio.wait([turn.task for turn in self._working], timeout=patience)
        left = [turn.task for turn in self._working]
        for task in left:
            task.cancel()
        if left:
            # One that does not stop when it is told to is not waited for.
            await asyncio.wait(left, timeout=1)

    def pending(self, work: Coroutine[object, object, T]) -> Pending[T]:
        """Begin something."""
        return Pending(self.loop, work)
