"""A Redis Cluster: which node has which key, asked again when keys move, with a pool of connections to each node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError, ResponseError

from helicone_gw.store.guard import Lost
from helicone_gw.store.links import Command, PooledLink, usable

REDIRECTIONS = 3
"""How often one call follows a key that has moved."""

Node = tuple[str, int]


class ClusterLink:
    """To a Redis Cluster: commands that are sent together go to their nodes at the same time, one write to each.

    ``seeds`` are some of its nodes, which tell of all others; ``link`` makes the link to one. While any master does not
    answer, the cluster counts as away until another has taken its place: so does the cluster itself, as a rule.
    (redis-py's client for clusters connects inside calls, keeps the connections of calls that were cut short, and
    waits a quarter of a second on the way; what is asked of it here is a table of slots.)
    """

    def __init__(self, seeds: Sequence[Node], link: Callable[[str, int], PooledLink]) -> None:
        self._seeds = tuple(seeds)
        self._link = link
        self._links: dict[Node, PooledLink] = {}
        self._slots: list[Node | None] = []
        self._refreshing: asyncio.Task[None] | None = None
        self._closed = False

    async def ready(self) -> None:
        """Know the nodes, and be connected to every master. Raises `Lost`."""
        await self._refresh()
        masters = {node for node in self._slots if node is not None}
        await _together([self._node(node).send([("PING",)]) for node in masters])

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The reply to each command; an error in reply is a value. Raises `Lost`; `TypeError` for a wrong argument."""
        if not self._slots:
            await self._refresh()
        replies: list[Any] = [None] * len(commands)
        todo = [(place, self._owner(command), False) for place, command in enumerate(commands)]
        for _ in range(1 + REDIRECTIONS):
            await self._round(commands, todo, replies)
            todo = [redirected for place, _, _ in todo if (redirected := self._redirected(place, replies, commands))]
            if not todo:
                return usable(replies)
        raise Lost("its keys are being moved")

    async def reset(self) -> None:
        """Drop connections, and what is known of the nodes."""
        links, self._links, self._slots = tuple(self._links.values()), {}, []
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait({self._refreshing})
            self._refreshing = None
        for link in links:
            await link.close()

    async def close(self) -> None:
        """Let go of connections."""
        self._closed = True
        await self.reset()

    async def _round(
        self, commands: Sequence[Command], todo: Sequence[tuple[int, Node, bool]], replies: list[Any]
    ) -> None:
        """Send what is to be sent to each node, and put the replies in their places."""
        batches: dict[Node, list[tuple[int, bool]]] = {}
        for place, node, asking in todo:
            batches.setdefault(node, []).append((place, asking))
        sent = [self._batch(node, batch, commands) for node, batch in batches.items()]
        for batch, answers in zip(batches.values(), await _together(sent), strict=True):
            for (place, _), answer in zip(batch, answers, strict=True):
                replies[place] = answer

    async def _batch(self, node: Node, batch: Sequence[tuple[int, bool]], commands: Sequence[Command]) -> list[Any]:
        wire: list[Command] = []
        wanted = []
        for place, asking in batch:
            if asking:
                wire.append(("ASKING",))
            wanted.append(len(wire))
            wire.append(commands[place])
        answers = await self._node(node).send(wire)
        return [answers[index] for index in wanted]

    def _redirected(self, place: int, replies: list[Any], commands: Sequence[Command]) -> tuple[int, Node, bool] | None:
        """Where the command at ``place`` is to be sent next, if it is."""
        reply = replies[place]
        if isinstance(reply, MovedError):
            # An empty host is that of the node which answered (CLUSTER SLOTS, MOVED); the table knows which it was.
            node = (str(reply.host) or self._owner(commands[place])[0], int(reply.port))
            if self._slots:
                self._slots[int(reply.slot_id)] = node
                self._refresh_soon()
            return place, node, False
        if isinstance(reply, AskError):
            return place, (str(reply.host) or self._owner(commands[place])[0], int(reply.port)), True
        return None

    def _owner(self, command: Command) -> Node:
        key = command[3 if command[0] in ("EVALSHA", "EVAL") else 1]
        slot = key_slot(key if isinstance(key, bytes) else str(key).encode())
        node = self._slots[slot] if self._slots else None
        if node is None:
            raise Lost("no node has this key")
        return node

    def _node(self, node: Node) -> PooledLink:
        link = self._links.get(node)
        if link is None:
            if self._closed:
                raise Lost("it is closed")
            link = self._links[node] = self._link(*node)
        return link

    def _refresh_soon(self) -> None:
        if not self._closed and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh_quietly(), name="store-cluster")

    async def _refresh_quietly(self) -> None:
        try:
            await self._refresh()
        except Lost:
            return  # calls will tell

    async def _refresh(self) -> None:
        """Ask any node where every slot is. Raises `Lost` when none answers."""
        known = dict.fromkeys((*self._links, *self._seeds))
        asked = [asyncio.ensure_future(self._ask(node)) for node in known]
        try:
            for first in asyncio.as_completed(asked):
                try:
                    self._slots = await first
                except Lost as lost:
                    problem = lost
                else:
                    break
            else:
                raise problem
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        kept = {*self._slots, *self._seeds}
        for node in [node for node in self._links if node not in kept]:
            await self._links.pop(node).close()

    async def _ask(self, node: Node) -> list[Node | None]:
        (answer,) = await self._node(node).send([("CLUSTER", "SLOTS")])
        if isinstance(answer, ResponseError) or not answer:
            raise Lost("it is no cluster, or has no slots")
        slots: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_ in answer:
            slots[first : last + 1] = [(host.decode() if host else node[0], port)] * (last + 1 - first)
        return slots


async def _together(work: Sequence[Any]) -> list[Any]:
    """The results of coroutines that run at the same time; when one raises, the others are cancelled and waited for."""
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
