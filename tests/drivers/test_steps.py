"""Steps: what begins in the name of a task is, to itself, in that task from the beginning to the end."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from ws4py_middleware.steps import DONE, Name, begin, go_on, iterate

number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


async def host(name: Name, wake: asyncio.Event, begun: list[tuple[Any, Any]]) -> None:
    """Be the task of a name: go on with what was begun in it."""
    await wake.wait()
    await go_on(*begun.pop(), name)


def in_name(test: Callable[[Name, asyncio.Event, list[tuple[Any, Any]]], Awaitable[None]]) -> None:
    async def main() -> None:
        name = Name(asyncio.get_running_loop())
        wake, begun = asyncio.Event(), list[tuple[Any, Any]]()
        name.task = asyncio.create_task(host(name, wake, begun))
        try:
            await asyncio.wait_for(test(name, wake, begun), 5)
        finally:
            name.task.cancel()
            await asyncio.gather(name.task, return_exceptions=True)

    asyncio.run(main())


def test_step_is_the_tasks_and_the_caller_is_itself_again() -> None:
    async def test(name: Name, wake: asyncio.Event, begun: list[tuple[Any, Any]]) -> None:
        me = asyncio.current_task()
        assert name.call(asyncio.current_task) is name.task
        assert asyncio.current_task() is me
        with pytest.raises(ZeroDivisionError):
            name.call(lambda: 1 // 0)
        assert asyncio.current_task() is me
        seen: list[object] = []
        asyncio.get_running_loop().call_soon(lambda: seen.append(name.call(asyncio.current_task)))
        asyncio.get_running_loop().call_soon(lambda: seen.append(asyncio.current_task()))
        await asyncio.sleep(0.001)
        assert seen == [name.task, None]

    in_name(test)


def test_step_of_nobody_while_nobody_runs() -> None:
    async def test(name: Name, wake: asyncio.Event, begun: list[tuple[Any, Any]]) -> None:
        loop = asyncio.get_running_loop()
        seen = loop.create_future()
        loop.call_soon(lambda: seen.set_result(Name(loop).call(asyncio.current_task)))
        assert await seen is None

    in_name(test)


def test_context_is_the_same_in_all_steps_and_not_the_callers() -> None:
    async def test(name: Name, wake: asyncio.Event, begun: list[tuple[Any, Any]]) -> None:
        gate = asyncio.Event()

        async def work() -> None:
            token = number.set(7)
            await gate.wait()
            assert number.get() == 7
            number.reset(token)  # raises in another context

        iterator = work().__await__()
        waited = name.call(begin, iterator)
        assert waited is not DONE
        assert number.get() == 0
        begun.append((iterator, waited))
        wake.set()
        await asyncio.sleep(0)
        gate.set()
        assert name.task is not None
        await name.task

    in_name(test)


def test_done_at_once_with_any_kind_of_awaitable() -> None:
    async def value() -> int:
        return 1

    class Nothing:
        def __await__(self) -> Iterator[Any]:
            return iter(())

    @types.coroutine
    def old() -> Iterator[Any]:
        yield from ()

    for awaitable in (value(), Nothing(), old()):
        assert begin(iterate(awaitable)) is DONE


@pytest.mark.parametrize("is_early", [False, True])
def test_cancelled_task_cancels_what_others_have_begun(is_early: bool) -> None:
    async def test(name: Name, wake: asyncio.Event, begun: list[tuple[Any, Any]]) -> None:
        ends: list[object] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0)  # cleaning up may wait, too
                ends.append(asyncio.current_task())
                raise

        iterator = work().__await__()
        waited = name.call(begin, iterator)
        assert name.task is not None
        if is_early:
            error = asyncio.CancelledError()
            with pytest.raises(asyncio.CancelledError):
                await go_on(iterator, waited, name, error=error)
            assert ends == [asyncio.current_task()]
            return
        begun.append((iterator, waited))
        wake.set()
        await asyncio.sleep(0)
        name.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await name.task
        assert ends == [name.task]

    in_name(test)


def test_error_is_passed_to_what_can_take_none() -> None:
    class Endless:
        def __iter__(self) -> Endless:
            return self

        def __next__(self) -> None:
            return None

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await go_on(Endless(), None, error=ZeroDivisionError())

    asyncio.run(main())


def test_before_each_wait_something_is_called() -> None:
    calls: list[int] = []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def main() -> None:
        iterator = work().__await__()
        await go_on(iterator, begin(iterator), before=lambda: calls.append(len(calls)))
        assert calls == [0, 1, 2]

    asyncio.run(main())


def test_who_swallows_an_error_goes_on() -> None:
    async def work(seen: list[str]) -> None:
        try:
            await asyncio.Event().wait()
        except ZeroDivisionError:
            seen.append("caught")

    async def main() -> None:
        seen: list[str] = []
        iterator = work(seen).__await__()
        await go_on(iterator, begin(iterator), error=ZeroDivisionError())
        assert seen == ["caught"]

    asyncio.run(main())
