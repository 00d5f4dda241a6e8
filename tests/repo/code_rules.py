"""The house rules for Python code. Each is a function from one file to its complaints, none when the rule is kept."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.repo.tree import ROOT, File

LONGEST_FILE = 400
LONGER_FILES = {
    "app/evidence/verifier/verify.py": "a stranger gets it as one file, and runs it without installing anything",
    "app/evidence/verifier/verify.html": "the same as one page, opened from the disk: it may load nothing",
}
"""The only longer ones, each with the reason why it cannot be several."""
LONGEST_FUNCTION = 50
FEWEST_WORDS_IN_A_REASON = 3
HTTP_CLIENT_AT = ("connectors/http.py", "connectors/guarded.py", "tests/", "benchmarks/")
TRANSACTIONS_AT = (
    "app/kit/",
    "app/main.py",
    "app/connections/doors.py",
    "app/intake/desk.py",
    "app/operations.py",
    "app/publishing.py",
    "app/rotation.py",
    "app/index_rotation.py",
    "app/connection_indexes.py",
    "app/sign_in_indexes.py",
    "app/handing_over.py",
    "app/ledger/attesting.py",
    "app/ledger/sequencing.py",
    "app/ledger/reading_back.py",
    "app/ledger/full_look.py",
    "app/ledger_commands.py",
    "app/upkeep/",
    "app/upkeep_commands.py",
    "app/file_commands.py",
    "app/evidence/building.py",
    "app/whole_files.py",
    "app/demo/",
    "app/access/gate.py",
    "app/intake/polling.py",
    "app/intake/rounds.py",
    "app/intake/following.py",
    "app/intake/handing_on.py",
    "app/intake/asker.py",
    "app/web/errors.py",
    "app/web/file_pages.py",
    "app/web/provider_pages.py",
    "app/web/provider_sign_in_pages.py",
    "app/web/sign_in_pages.py",
    "app/web/ways_in_pages.py",
)  # and the edge modules of every room:
EDGE_MODULES = ("endpoints.py", "workers.py")
NOT_FOR_CONNECTORS = (
    "app",
    "tests",
    "migrations",
    "benchmarks",
    "sqlalchemy",
    "alembic",
    "pydantic_settings",
    "fastapi",
)
BROAD = ("Exception", "BaseException")
LOOSE_ENDS = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
WAYS_TO_SKIP = ("skip", "skipif", "xfail", "importorskip")
PROOFS = frozenset({"shown", "given", "text", "secret", "token", "signature", "digest", "mac", "proof", "wanted"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SOURCE_ENDINGS = (".py", ".html", ".css", ".js", ".sh", "/run")


def file_length(file: File) -> Iterator[str]:
    """No source file is longer than it can be read in one go."""
    lines = file.text.count("\n")
    if f"/{file.path}".endswith(_SOURCE_ENDINGS) and lines > LONGEST_FILE and file.path not in LONGER_FILES:
        yield f"{lines} lines; at most {LONGEST_FILE}"


def function_length(file: File) -> Iterator[str]:
    """No function is longer than a screen."""
    for node in file.nodes:
        if isinstance(node, _FUNCTIONS):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{node.lineno}: {node.name} has {lines} lines; at most {LONGEST_FUNCTION}"


def imports_at_the_top(file: File) -> Iterator[str]:
    """No import inside a function: what a module needs is seen at its head."""
    for function in file.nodes:
        if isinstance(function, _FUNCTIONS):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"{node.lineno}: import inside {function.name}"


def _catches_all(node: ast.expr | None) -> bool:
    caught = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(item is None or (isinstance(item, ast.Name) and item.id in BROAD) for item in caught)


def _gives_a_reason(comment: str) -> bool:
    without_codes = re.sub(r"(noqa|type: ?ignore)(: ?[A-Z0-9, ]+|\[[^\]]*\])?", "", comment)
    return len(re.findall(r"[A-Za-z]{2,}", without_codes)) >= FEWEST_WORDS_IN_A_REASON


def broad_excepts_say_why(file: File) -> Iterator[str]:
    """A handler or `suppress` that catches everything says why, in a comment on its line; a bare one is never right."""
    for node in file.nodes:
        if isinstance(node, ast.ExceptHandler):
            caught = _catches_all(node.type)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}:
            caught = any(_catches_all(argument) for argument in node.args)
        else:
            continue
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno}: bare except"
        elif caught and not _gives_a_reason(file.comments.get(node.lineno, "")):
            yield f"{node.lineno}: catches everything and does not say why on this line"


def nothing_left_open(file: File) -> Iterator[str]:
    """No note to do something later, and no function that only says that it is not written yet."""
    words = re.compile(rf"\b({'|'.join(LOOSE_ENDS)})\b")
    for line, comment in file.comments.items():
        if words.search(comment):
            yield f"{line}: a note instead of the work"
    for node in file.nodes:
        if isinstance(node, ast.Name) and node.id == "NotImplemented" + "Error":
            yield f"{node.lineno}: not written yet"


def no_test_is_skipped(file: File) -> Iterator[str]:
    """No skip and no expected failure: a test runs, or `./run` says aloud which ones it leaves out."""
    for node in file.nodes:
        if isinstance(node, ast.Attribute) and node.attr in WAYS_TO_SKIP:
            owner = ast.unparse(node.value)
            if owner in {"pytest", "pytest.mark", "mark", "unittest"}:
                yield f"{node.lineno}: {owner}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module in {"pytest", "unittest"}:
            for alias in node.names:
                if alias.name in WAYS_TO_SKIP:
                    yield f"{node.lineno}: {alias.name} from {node.module}"


def _public(body: list[ast.stmt], owner: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in body:
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            yield f"{owner}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{owner}{node.name}.")


def public_names_are_documented(file: File) -> Iterator[str]:
    """Every public module, class, function and method says what it is for."""
    if file.text.strip() and ast.get_docstring(file.tree) is None:
        yield "1: the module has no docstring"
    for name, node in _public(file.tree.body, ""):
        overload = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
        if ast.get_docstring(node) is None and not overload:
            yield f"{node.lineno}: {name} has no docstring"


def imported_modules(file: File) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that a file imports; `from a import b` gives a and a.b."""
    package = file.path.removesuffix(".py").split("/")[:-1]
    for node in file.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def connectors_stand_alone(file: File) -> Iterator[str]:
    """A connector uses the shared tools of connectors/ and its own folder: no house, no database, no neighbour."""
    parts = file.path.split("/")
    own = parts[1] if len(parts) > 2 else None
    shared = {path.stem for path in (ROOT / "connectors").glob("*.py")}
    for line, module in imported_modules(file):
        names = module.split(".")
        if names[0] in NOT_FOR_CONNECTORS:
            yield f"{line}: imports {module}"
        elif own and names[0] == "connectors" and len(names) > 1 and names[1] not in {own, *shared}:
            yield f"{line}: imports {module}, which is not its own"


def one_http_client(file: File) -> Iterator[str]:
    """Requests leave through connectors/http.py alone, where deadlines, pace and the address guard are."""
    if not file.under(*HTTP_CLIENT_AT):
        for line, module in imported_modules(file):
            if module.split(".")[0] in {"httpx", "requests", "aiohttp", "urllib3"} or module == "urllib.request":
                yield f"{line}: imports {module}"


def transactions_open_at_the_edge(file: File) -> Iterator[str]:
    """A unit of work begins and commits at the edge; services and repositories are handed one."""
    if file.under(*TRANSACTIONS_AT) or file.path.endswith(tuple(f"/{name}" for name in EDGE_MODULES)):
        return
    for node in file.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"begin", "commit"}:
            yield f"{node.lineno}: {ast.unparse(node.func)}()"


def _is_a_proof(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2] in PROOFS


def secrets_are_compared_in_constant_time(file: File) -> Iterator[str]:
    """What proves somebody's origin is compared by `hmac.compare_digest`: `==` tells by its time how much of it was right."""
    for node in file.nodes:
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        if _is_a_proof(node.left) and isinstance(node.comparators[0], ast.Name | ast.Attribute):
            yield f"{node.lineno}: {ast.unparse(node)}"
