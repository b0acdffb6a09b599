"""Rules of the code that no linter knows: docs/decisions say why."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clinic_app"
#: Where words go to the terminal: whoever starts the program reads them there.
TERMINAL = ("cli/", "asgi.py", "__main__.py")
CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp"}


def _modules() -> list[tuple[str, ast.Module]]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [(file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text(), str(file))) for file in files]


MODULES = _modules()


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        yield from _own(node)


def _calls(nodes: Iterator[ast.AST]) -> Iterator[tuple[str, str, int]]:
    """Receiver, name and line of each call; an empty receiver for a plain function."""
    for node in nodes:
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func.value), node.func.attr, node.lineno
            elif isinstance(node.func, ast.Name):
                yield "", node.func.id, node.lineno


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = function.args
    return {argument.arg for argument in [*given.posonlyargs, *given.args, *given.kwonlyargs]}


def _breaches(rule) -> list[str]:
    return [f"{name}:{line}" for name, tree in MODULES for line in rule(name, tree)]


def commits(name: str, tree: ast.AST) -> list[int]:
    """Only the one way to a transaction ends one."""
    if name == "core/db.py":
        return []
    return [line for _, call, line in _calls(ast.walk(tree)) if call in {"commit", "rollback"}]


def several_transactions(name: str, tree: ast.AST) -> list[int]:
    """A use case owns one transaction."""
    return [
        function.lineno
        for function in _functions(tree)
        if sum(call == "transaction" for _, call, _ in _calls(_own(function))) > 1
    ]


def transactions_inside(name: str, tree: ast.AST) -> list[int]:
    """A building block that takes a session works in its caller's transaction."""
    return [
        function.lineno
        for function in _functions(tree)
        if "session" in _arguments(function)
        and any(call in {"transaction", "reading"} for _, call, _ in _calls(_own(function)))
    ]


def nested_transactions(name: str, tree: ast.AST) -> list[int]:
    """No transaction or reading begins inside another one of the same function."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(
            call == "transaction" for item in node.items for _, call, _ in _calls(ast.walk(item.context_expr))
        ):
            inside = (each for statement in node.body for each in ast.walk(statement))
            found += [line for _, call, line in _calls(inside) if call in {"transaction", "reading"}]
    return found


def slow_work_inside(name: str, tree: ast.AST) -> list[int]:
    """No hash is computed inside a transaction."""
    slow = {"hash_password", "verify_password", "prepare_credentials", "_check", "sleep"}
    return [
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and any(
            call in {"transaction", "reading"}
            for item in node.items
            for _, call, _ in _calls(ast.walk(item.context_expr))
        )
        for _, call, line in _calls(each for statement in node.body for each in ast.walk(statement))
        if call in slow
    ]


def other_clocks(name: str, tree: ast.AST) -> list[int]:
    """One module asks what time it is."""
    if name == "core/clock.py":
        return []
    return [
        line
        for receiver, call, line in _calls(ast.walk(tree))
        if call in CLOCKS and receiver.split(".")[-1] in {"datetime", "date"}
    ]


def prints(name: str, tree: ast.AST) -> list[int]:
    """Programs log; only the terminal's side prints."""
    if name.startswith(TERMINAL):
        return []
    return [line for receiver, call, line in _calls(ast.walk(tree)) if not receiver and call in {"print", "pprint"}]


def reflex_database(name: str, tree: ast.AST) -> list[int]:
    """Not Reflex's own database, whose tables and sessions go around the services."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"session", "asession", "Model", "ModelRegistry", "upload"}
        and ast.unparse(node.value) in {"rx", "reflex"}
    ]


def create_all(name: str, tree: ast.AST) -> list[int]:
    """The migrations build the database."""
    return [line for _, call, line in _calls(ast.walk(tree)) if call in {"create_all", "drop_all"}]


def naive_queries(name: str, tree: ast.AST) -> list[int]:
    """No SQL is put together from text and values."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in {"text", "exec_driver_sql"}
        and any(
            isinstance(argument, ast.BinOp)
            or (isinstance(argument, ast.JoinedStr) and name.startswith(("services/", "api/", "web/", "ui/")))
            for argument in node.args
        )
    ]


def html_from_text(name: str, tree: ast.AST) -> list[int]:
    """Templates make HTML, where every value is escaped; no f-string does."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        and any(isinstance(part, ast.Constant) and re.search(r"</?[a-z]", str(part.value)) for part in node.values)
    ]


#: Rule → a breach of it.
RULES = {
    commits: "def f(session):\n    session.commit()",
    several_transactions: "def f():\n    with db.transaction(): pass\n    with db.transaction(): pass",
    transactions_inside: "def f(session):\n    with db.transaction(): pass",
    nested_transactions: "def f():\n    with db.transaction():\n        with db.reading(): pass",
    slow_work_inside: "def f():\n    with db.transaction():\n        crypto.hash_password('x')",
    other_clocks: "def f():\n    return dt.datetime.now(dt.UTC)",
    prints: "def f():\n    print('x')",
    reflex_database: "def f():\n    with rx.session(): pass",
    create_all: "SQLModel.metadata.create_all(engine)",
    html_from_text: "page = f'<p>{name}</p>'",
    naive_queries: "session.execute(text('SELECT ' + name))",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_is_kept_everywhere(rule):
    assert _breaches(rule) == [], rule.__doc__


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_finds_its_breach(rule):
    assert rule("services/example.py", ast.parse(RULES[rule])) != []


@pytest.mark.parametrize(
    "source",
    ["dt.date.today()", "datetime.datetime.utcnow()", "datetime.now()", "date.fromtimestamp(5)"],
)
def test_other_ways_to_ask_the_time_are_found_too(source):
    assert other_clocks("services/example.py", ast.parse(source)) != []


def test_every_module_says_what_it_is():
    assert [name for name, tree in MODULES if tree.body and not ast.get_docstring(tree)] == []


def test_every_public_function_and_class_of_the_services_says_what_it_promises():
    missing = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in MODULES
        if name.startswith("services/")
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


def _use_cases() -> Iterator[tuple[str, ast.FunctionDef]]:
    """The public functions of the services that are told who asks, but for those that say they are building blocks."""
    for name, tree in MODULES:
        for node in tree.body if name.startswith("services/") else ():
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                first = [*node.args.posonlyargs, *node.args.args][:1]
                block = (ast.get_docstring(node) or "").startswith("Building block")
                if first and first[0].arg == "actor" and not block:
                    yield name.removeprefix("services/"), node


#: What is told who asks without being a use case of its own: the checks themselves, and what wraps a use case.
NOT_ASKED = {"demand", "demand_fresh", "note_refusal", "once"}
#: Ending one's own session needs no permission: it is refused to nobody who has one.
OWN_BUSINESS = {"end_tokens"}
#: Refuses by itself everybody but the command line in demo mode.
DEMO = {"seed_demo"}


def test_every_use_case_asks_whether_it_may_before_anything_else():
    """``demand`` is the first thing a use case does, itself or in the one helper it hands everything to."""
    helpers = {
        (name.removeprefix("services/"), node.name): node
        for name, tree in MODULES
        if name.startswith("services/")
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }

    def asks(module: str, function: ast.FunctionDef, depth: int = 0) -> bool:
        first = function.body[1 if ast.get_docstring(function) else 0]
        for call in (node for node in ast.walk(first) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func).split(".")[-1]
            if called == "demand":
                return True
            helper = helpers.get((module, called))
            if depth == 0 and helper is not None and asks(module, helper, 1):
                return True
        return False

    silent = [
        f"{module}:{function.lineno} {function.name}"
        for module, function in _use_cases()
        if function.name not in NOT_ASKED | OWN_BUSINESS | DEMO and not asks(module, function)
    ]
    assert silent == []
