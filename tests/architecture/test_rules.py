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


def normal_forms(name: str, tree: ast.AST) -> list[int]:
    """One function knows Unicode's normal forms, and cuts text before it looks at it: they take quadratic time."""
    if name == "core/text_rules.py":
        return []
    calls = [line for _, call, line in _calls(ast.walk(tree)) if call == "normalize"]
    imports = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "unicodedata"
    ]
    return calls + imports


#: Libraries that take more than linear time, or much of it, and the modules that cut what they give them.
COSTLY = {
    "zxcvbn": {"services/accounts/guessability.py"},
    "email_validator": {"services/patients/fields.py"},
    "anyascii": {"core/folding.py"},
    "phonenumbers": {
        "core/settings.py",
        "services/patients/mobile_numbers.py",  # its tables alone
        "services/patients/phones.py",
        "services/patients/wording.py",
        "api/serializers.py",
    },
}


def costly_libraries(name: str, tree: ast.AST) -> list[int]:
    """What is slow with long text is asked in one place, which cuts it; zxcvbn on a thread of its own."""
    found = []
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            allowed = COSTLY.get(module.partition(".")[0])
            if allowed is not None and name not in allowed:
                found.append(node.lineno)
    return found


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
    normal_forms: "import unicodedata\nplain = unicodedata.normalize('NFKC', text)",
    costly_libraries: "from zxcvbn import zxcvbn",
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


#: What is told who asks without being a use case of its own: the checks themselves, what wraps a use case,
#: and where somebody is sent.
NOT_ASKED = {"demand", "demand_fresh", "note_refusal", "note_or_count_refusal", "once", "start"}
#: Ending one's own session, and what became of one's own press, need no permission: others' cannot be named.
OWN_BUSINESS = {"end_tokens", "outcome", "happened", "mark_seen"}
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


def test_cookies_are_read_in_one_way_only():
    """``cookies.sent``: documents, forms and sockets must not differ about which of two cookies counts."""

    def rule(name: str, tree: ast.Module) -> Iterator[int]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "cookies" and ast.unparse(node.value) != "core":
                yield node.lineno

    assert _breaches(rule) == []
