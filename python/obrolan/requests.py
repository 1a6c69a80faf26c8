"""The requests of the protocol: what each one takes, and what its answer gives.

:class:`obrolan.Client` and :class:`obrolan.AsyncClient` have a method for each of them.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from obrolan.events import Message, Response

__all__ = ["Account", "Call", "Page", "Realm", "RequestHelp", "Requests", "Users"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request to be made."""

    #: Its name under ``request``, and its parameters. They may hold a password, so the repr does not show them.
    request: Mapping[str, str | int | None] = field(repr=False)
    #: What it gives, from a response that is OK.
    read: Callable[[Response], T] = field(repr=False)
    #: A key under which it is done once within 24 hours, over restarts of the program too.
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Who a user is."""

    #: The name to log in with.
    user: str
    #: The name to show.
    name: str
    #: The country.
    country: str
    #: Whether this is an admin of the server.
    admin: bool


@dataclass(frozen=True, slots=True)
class Users:
    """Some of the users' names, sorted."""

    #: The names, up to 10,000.
    names: list[str]
    #: What to pass as ``after`` for those that follow; None if these are all.
    next: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, the newest last."""

    #: The messages.
    messages: list[Message]
    #: Whether there are others.
    more: bool


@dataclass(frozen=True, slots=True)
class Realm:
    """Another server that this one was told of."""

    #: The realm's name.
    name: str
    #: Where it listens.
    ip: str
    #: The port there.
    port: int
    #: The fingerprint of its key; None until it is known.
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class RequestHelp:
    """What the server says of a request."""

    #: Its name.
    request: str
    #: How it is written.
    usage: str
    #: The names of its parameters.
    parameters: list[str]
    #: What it is for.
    help: str


def _nothing(_response: Response) -> None:
    """For requests that are answered OK and nothing more."""


def _id(response: Response) -> int:
    return response.number("id")


def _page(response: Response) -> Page:
    messages = response.body.get("messages")
    found = [item for item in messages if isinstance(item, Message)] if isinstance(messages, list) else []
    return Page(found, response.body.get("more") is True)


def _objects(response: Response, name: str) -> list[Response]:
    """Return the objects in a list, to be read as a response is."""
    items = response.body.get(name)
    objects = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [Response(ok=True, data="", code=None, reason="", body=item) for item in objects]


def _realms(response: Response) -> list[Realm]:
    return [
        Realm(realm.text("name"), realm.text("ip"), realm.number("port"), realm.text("fingerprint") or None)
        for realm in _objects(response, "realms")
    ]


def _help(response: Response) -> list[RequestHelp]:
    return [
        RequestHelp(each.text("request"), each.text("usage"), each.names("parameters"), each.text("help"))
        for each in _objects(response, "requests")
    ]


def _account(response: Response) -> Account:
    admin = response.body.get("admin") is True
    return Account(response.text("user"), response.text("name"), response.text("country"), admin)


class Requests:
    """Makes the :class:`Call` of each request. The clients turn these methods into theirs.

    A ``key`` of the caller's, 1 to 64 bytes, makes a request that is made again, even by another process, be done once within 24
    hours. Without one the client has its own, which does the same over lost connections.
    """

    def auth(self, user: str, password: str) -> Call[str]:
        """Log in as somebody else from now on; gives the session's id."""
        return Call(
            {"request": "AUTH", "user": user, "password": password}, lambda response: response.text("tokenid")
        )

    def logout(self) -> Call[None]:
        """End the session. The client stays connected, as nobody."""
        return Call({"request": "LOGOUT"}, _nothing)

    def register(self, user: str, password: str, country: str, name: str) -> Call[None]:
        """Make an account for somebody else. :func:`obrolan.register` makes one's own."""
        params = {"request": "REGISTER", "user": user, "password": password, "country": country, "name": name}
        return Call(params, _nothing)

    def send(self, to: str, text: str, *, key: str | None = None) -> Call[int]:
        """Send a message to a user, present or not; gives its number."""
        return Call({"request": "SEND", "to": to, "text": text}, _id, key)

    def send_group(self, group: str, text: str, *, key: str | None = None) -> Call[int]:
        """Send a message to every other member of a group; gives its number."""
        return Call({"request": "SEND_GROUP", "group": group, "text": text}, _id, key)

    def add_realm(self, name: str, ip: str, port: int, fingerprint: str | None = None) -> Call[None]:
        """Tell the server of another one (admins)."""
        realm: dict[str, str | int | None] = {
            "name": name,
            "ip": ip,
            "port": port,
            "fingerprint": fingerprint,
        }
        return Call({"request": "ADD_REALM", **realm}, _nothing)

    def add_group(self, group: str) -> Call[None]:
        """Make a group; the user is its owner and first member."""
        return Call({"request": "ADD_GROUP", "group": group}, _nothing)

    def join_group(self, group: str) -> Call[None]:
        """Join a group."""
        return Call({"request": "JOIN_GROUP", "group": group}, _nothing)

    def leave_group(self, group: str) -> Call[None]:
        """Leave a group; the last member to leave ends it."""
        return Call({"request": "LEAVE_GROUP", "group": group}, _nothing)

    def list_users(self, after: str | None = None) -> Call[Users]:
        """List all users' names, or those that follow a name: up to 10,000."""
        params = {"request": "LIST_USERS", "after": after}
        return Call(params, lambda response: Users(response.names("users"), response.text("next") or None))

    def list_my_groups(self) -> Call[list[str]]:
        """List the names of the groups the user is in."""
        return Call({"request": "LIST_MY_GROUPS"}, lambda response: response.names("groups"))

    def list_group(self, group: str | None = None) -> Call[list[str]]:
        """List the members of a group the user is in; without a name, of the session's current group."""
        return Call({"request": "LIST_GROUP", "group": group}, lambda response: response.names("members"))

    def inbox(self, after: int | None = None) -> Call[Page]:
        """Read the oldest unconfirmed messages, up to 100, with numbers beyond ``after``."""
        return Call({"request": "INBOX", "after": after}, _page)

    def ack(self, id: int) -> Call[None]:
        """Confirm all messages up to a number, and wait for it. ``confirm`` does not wait."""
        return Call({"request": "ACK", "id": id}, _nothing)

    def subscribe(self, after: int | None = None) -> Call[None]:
        """Be sent messages from now on: unconfirmed ones beyond ``after`` first."""
        return Call({"request": "SUBSCRIBE", "after": after}, _nothing)

    def history(self, with_: str, before: int | None = None, limit: int | None = None) -> Call[Page]:
        """Read the last messages with a user or of a group: those before a given one, 50 or up to 100."""
        return Call({"request": "HISTORY", "with": with_, "before": before, "limit": limit}, _page)

    def upload(self, filename: str, content: bytes, offset: int | None = None) -> Call[int]:
        """Add a part to the upload of that name; gives its size. ``send_file`` does it all."""
        base64 = b2a_base64(content, newline=False).decode()
        params = {"request": "UPLOAD", "filename": filename, "base64": base64, "offset": offset}
        return Call(params, lambda response: response.number("size"))

    def ping(self) -> Call[None]:
        """See whether the server is there."""
        return Call({"request": "PING"}, _nothing)

    def help(self, name: str | None = None) -> Call[list[RequestHelp]]:
        """Ask what requests the server knows, or about one of them."""
        return Call({"request": "HELP", "name": name}, _help)

    def resume(self, sid: str) -> Call[None]:
        """Go on with a session that exists."""
        return Call({"request": "RESUME", "sid": sid}, _nothing)

    def passwd(self, old: str, new: str) -> Call[None]:
        """Change the password; the user's other sessions end."""
        return Call({"request": "PASSWD", "old": old, "new": new}, _nothing)

    def whoami(self) -> Call[Account]:
        """Ask who the user is."""
        return Call({"request": "WHOAMI"}, _account)

    def list_realms(self) -> Call[list[Realm]]:
        """List the realms the server was told of."""
        return Call({"request": "LIST_REALMS"}, _realms)

    def quit(self) -> Call[None]:
        """Say goodbye: the last request of this client."""
        return Call({"request": "QUIT"}, _nothing)
