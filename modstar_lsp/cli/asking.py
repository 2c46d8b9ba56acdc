"""What `modstar-query` does with its arguments: asks one folder or several, and prints what they answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from modstar_lsp.cache_folder import expanded
from modstar_lsp.cli.process import ERROR, FOUND, NOTHING, complain, run
from modstar_lsp.cli.query_arguments import PROGRAM, read_arguments
from modstar_lsp.cli.terminal import is_terminal, rows_of, say_json, style
from modstar_lsp.errors import ModstarError, QueryError, StoreError, WorkspaceError, reason
from modstar_lsp.startup import allow_files

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from modstar_lsp.cli.arguments import Place
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import DamagedIndex
    from modstar_lsp.search import Options, Results
    from modstar_lsp.workspace import Workspace
    from modstar_lsp.workspace.description import Description
    from modstar_lsp.workspace.question import Question
    from modstar_lsp.workspace.scope import Scope

# On a terminal the first answer is there at once, and after so many seconds a better order in its place.
_BUDGET = 0.3
# Open at the same time: of one folder up to six (the database, its log and what both are found by), of the
# process itself some more.
_PROCESS_FILES, _FOLDER_FILES = 100, 8
# Answers shown while an index grows: enough to see that it finds something.
_PREVIEWED = 5


class Answered(NamedTuple):
    """What one folder answers."""

    workspace: Workspace
    question: Question
    options: Options
    results: Results


def status(encoder: Encoder | None, then: Callable[[Workspace], None]) -> int:
    """The exit status of the command, run in this process. encoder, then: as in `answer_command`."""
    return run(PROGRAM, lambda: answer_command(encoder, then))


def answer_command(
    encoder: Encoder | None = None, then: Callable[[Workspace], None] = lambda workspace: None
) -> int:
    """Ask what the process's arguments say, and print the answers; the exit status.

    encoder: a model that is loaded already. then: takes the workspace that was asked, where it was one.
    Raises ModstarError.
    """
    arguments = read_arguments()
    here_too = len(arguments.words) > 1 or arguments.lists
    if arguments.store is not None and (not here_too or arguments.similar is not False):
        from modstar_lsp.cli import stored

        return stored.query(PROGRAM, arguments)
    if encoder is not None and not _is_model(encoder, arguments.bundle):
        encoder = None
    if arguments.store is not None and (arguments.json or arguments.vimgrep):
        raise QueryError("--json and --vimgrep are of a PATH or of a --store: ask one after the other")
    by_code = arguments.similar is not False
    text, named = _text_and_paths(arguments.words, by_code)
    paths = [*named, *_listed(arguments.lists)]
    scopes, unread = _scopes(paths, arguments)
    question = _asker(arguments.similar, text, [*paths, *(scope.root for scope in scopes)])
    with ExitStack() as opened:
        answers, failed = _ask_all(scopes, question, arguments, opened, encoder)
        # That a folder has no file of a language is no news where others have.
        wrong = [*unread, *(error for error in failed if not isinstance(error, QueryError))]
        if not answers:
            *others, last = wrong or failed[:1]
            for error in others:
                complain(PROGRAM, str(error))
            raise last
        answers, found = _show(answers, arguments)
        if arguments.store is not None:
            from modstar_lsp.cli import stored

            here = [one.workspace.root for one in answers]
            found += stored.show_beside(
                PROGRAM, arguments, answers[0].question, answers[0].workspace.encoder, here
            )
        _say_what_is_missing(answers, wrong)
        _say_who_ordered(answers, arguments.explain)
        if not found and not arguments.json and not any(one.results.note for one in answers):
            complain(PROGRAM, _why_nothing(answers))
        if len(answers) == 1:
            then(answers[0].workspace)
        if wrong:
            return ERROR  # as grep has it: also when something was found
        return FOUND if found else NOTHING


def _is_model(encoder: Encoder, bundle: Path | None) -> bool:
    """Whether `encoder` is the model in `bundle`, by default the one that comes with modstar."""
    from modstar_lsp.encoder.bundle import DEFAULT_FOLDER

    return encoder.bundle.folder.resolve() == (bundle or DEFAULT_FOLDER).resolve()


def _text_and_paths(words: Sequence[str], by_code: bool) -> tuple[str, Sequence[Path]]:
    """What was asked and where, from the positional arguments."""
    from pathlib import Path

    if by_code:
        text, paths = "", words
    elif words:
        text, *paths = words
    else:
        raise QueryError(f'nothing to look for: {PROGRAM} "what the code does" (see {PROGRAM} --help)')
    missing = next((path for path in paths if path == Path(path).name and not Path(path).exists()), None)
    if missing is not None and by_code:
        raise QueryError(f"{missing}: no such folder; --similar takes the place of TEXT")
    if missing is not None and len(words) > 2:
        raise QueryError(
            f'put quotes around a question of several words: {PROGRAM} "{" ".join(words)[:200]}"'
        )
    if missing is not None:
        raise WorkspaceError(
            f'{missing}: no such folder; quote a question of several words: "{text} {missing}"'
        )
    return text, [expanded(path) for path in paths]


def _listed(files: Sequence[Path]) -> list[Path]:
    """The folders in the lists that were named. Raises WorkspaceError."""
    if not files:
        return []
    from modstar_lsp.stores.repositories import listed

    paths = [expanded(line) for file in files for line in listed(file)]
    if not paths:
        name = "standard input" if str(files[0]) == "-" else files[0]
        raise WorkspaceError(f"{name}: names no folder (one a line)")
    return paths


def _scopes(
    paths: Sequence[Path], arguments: SimpleNamespace
) -> tuple[Sequence[Scope], Sequence[ModstarError]]:
    """(where to search, what is wrong with other places).

    That is what was named, or every index, or else the project around the current folder.
    """
    if arguments.all:
        if paths:
            raise QueryError("--all takes the place of PATH and --from: leave one of them out")
        return _every_scope(arguments)
    from modstar_lsp.workspace.scope import Scope, scope_of, united

    if not paths:
        from modstar_lsp.cli.indexing import chosen_root

        return [Scope(chosen_root(None))], []
    scopes: list[Scope] = []
    wrong: list[ModstarError] = []
    for path in paths:
        try:
            scopes.append(scope_of(path, arguments.index_dir))
        except WorkspaceError as error:
            wrong.append(error)
        except OSError as error:  # in a folder that may not be entered, on a drive that is gone
            wrong.append(WorkspaceError(f"{path}: cannot be read ({reason(error)})"))
    return united(scopes), wrong


def _every_scope(arguments: SimpleNamespace) -> tuple[Sequence[Scope], Sequence[ModstarError]]:
    """The folder of every index that this version and model can use, and a line for those that cannot."""
    from modstar_lsp.index.store.inventory import known_indexes
    from modstar_lsp.workspace.scope import Scope, united

    known = known_indexes(arguments.index_dir)
    there = [one for one in known if one.state == "there"]
    wrong: list[ModstarError] = []
    if unknown := sum(one.state == "unknown" for one in known):
        told = f"{unknown:,} of the indexes cannot be read: not searched (see modstar indexes)"
        wrong.append(StoreError(told))
    if not there and not wrong:
        raise WorkspaceError("there is no index yet: search or index a project first")
    return united(Scope(known.root) for known in there), wrong


def _asker(
    similar: Place | Literal[False] | None, text: str, around: Sequence[Path]
) -> Callable[[Path], Question]:
    """What to ask in each folder. Raises QueryError."""
    from modstar_lsp.workspace.question import Question

    if similar is False:
        asked = Question.of_text(text)
        return lambda root: asked
    if similar is None:
        code = Question.of_code(_standard_input())
        return lambda root: code
    return _code(similar, around)


def _standard_input() -> str:
    """The text that is piped in, whatever its encoding. Raises QueryError."""
    from modstar_lsp.files.source import Unreadable, decode

    given = _bounded(sys.stdin.buffer, "standard input") if sys.stdin else b""
    if not given.strip():
        raise QueryError("nothing came in on standard input: pipe some lines of code into it")
    try:
        return decode("-", given)
    except Unreadable as error:
        raise QueryError(f"standard input: {error.reason}, so there is no code in it") from None


def _bounded(stream: BinaryIO, name: str) -> bytes:
    """All of `stream`. Raises QueryError when that is more than any code."""
    from modstar_lsp.files.kinds import MOST_BYTES

    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise QueryError(f"{name}: larger than {MOST_BYTES // 1_000_000} MB: select some lines of code")
    return data


def _code(place: Place, around: Sequence[Path]) -> Callable[[Path], Question]:
    """Something like the code at `place`, which in its own folder is not found itself. Raises QueryError."""
    from modstar_lsp.files.source import Unreadable, decode
    from modstar_lsp.workspace.question import Question, selected_lines

    file = _selected_file(place.file, around)
    try:
        with file.open("rb") as stream:
            text = decode(file.name, _bounded(stream, str(place.file)))
    except Unreadable as error:
        raise QueryError(f"{place.file}: {error.reason}, so there is no code in it") from None
    first, last, code = selected_lines(str(place.file), text, place.first, place.last)

    def question(root: Path) -> Question:
        inside = root in file.parents
        return Question.of_code(code, (file.relative_to(root).as_posix(), first, last) if inside else None)

    return question


def _selected_file(file: Path, around: Sequence[Path]) -> Path:
    """The file of --similar, as the current directory or else a folder that is searched knows it."""
    from pathlib import Path

    for folder in (Path.cwd(), *around):
        candidate = folder / expanded(file)
        if candidate.is_file():
            return candidate.resolve()
    raise QueryError(f"{file}: no such file")


def _ask_all(
    scopes: Sequence[Scope],
    question: Callable[[Path], Question],
    arguments: SimpleNamespace,
    opened: ExitStack,
    encoder: Encoder | None,
) -> tuple[Sequence[Answered], Sequence[ModstarError]]:
    """(what each folder answers, what went wrong in others). opened: closes them all."""
    answers: list[Answered] = []
    failed: list[ModstarError] = []
    if len(scopes) > 1:
        allow_files(_PROCESS_FILES + _FOLDER_FILES * len(scopes))
    for scope in scopes:
        encoder = answers[0].workspace.encoder if answers else encoder
        try:
            asked = question(scope.root.resolve())
            workspace = opened.enter_context(_open_fresh(scope, asked, arguments, encoder))
            options = _options(arguments, scope)
            results = _answer(workspace, asked, options, arguments)
        except QueryError as error:
            failed.append(error)
        except ModstarError as error:
            failed.append(_named(error, scope.root, len(scopes) > 1))
        except OSError as error:
            failed.append(WorkspaceError(f"{scope.root}: cannot be read ({reason(error)})"))
        else:
            answers.append(Answered(workspace, asked, options, results))
    if any(one.results.hits and not one.results.note for one in answers):
        # Where a phrase stands nowhere its words were searched for; where it stands is what was asked for.
        answers = [one for one in answers if not one.results.note]
    return answers, failed


def _named(error: ModstarError, root: Path, among_others: bool) -> ModstarError:
    """`error`; of one folder among others it says of which."""
    told = str(error)
    return error if not among_others or str(root) in told else type(error)(f"{root}: {told}")


def _options(arguments: SimpleNamespace, scope: Scope) -> Options:
    # Only now: a worker that indexes starts while this process imports what searching needs.
    from modstar_lsp.search import Options
    from modstar_lsp.search.filters import Filter

    bounds = Filter(
        below=scope.below,
        languages=frozenset().union(*arguments.lang),
        not_languages=frozenset().union(*arguments.not_lang),
        globs=(*arguments.glob, *(f"!{glob}" for glob in arguments.exclude)),
        contents=frozenset(arguments.contents),
        since=arguments.since,
        regexes=tuple(arguments.regex),
    )
    return Options(
        k=arguments.k,
        filters=(bounds,),
        min_score=arguments.min_score,
        budget=0.0 if _is_shown_twice(arguments) else arguments.budget or 0.0,
        own_reader=True,
        depth=arguments.exit,
    )


def _open_fresh(
    scope: Scope, question: Question, arguments: SimpleNamespace, encoder: Encoder | None
) -> Workspace:
    """The workspace brought up to date, as far as was asked for and can be.

    An index that cannot be written now (no permission, no space, another writer) still answers as it is.
    encoder: a model that is loaded already.
    """
    from modstar_lsp.cli.indexing import bring_up_to_date
    from modstar_lsp.workspace import Workspace

    root = scope.root
    where = {"index_dir": arguments.index_dir, "bundle": arguments.bundle, "encoder": encoder}
    if arguments.no_refresh:
        return Workspace.open(root, **where, write=False)
    if arguments.all:  # one of another model or version would be made anew: not unasked
        Workspace.open(root, **where, write=False).close()
    try:
        workspace = Workspace.open(root, **where)
    except StoreError as error:
        try:
            workspace = Workspace.open(root, **where, write=False)
        except StoreError:
            raise error from None
        complain(PROGRAM, f"{error}; searched as it is")
        return workspace
    if workspace.notice:
        complain(PROGRAM, workspace.notice)
    try:
        bring_up_to_date(PROGRAM, workspace, preview=_preview(workspace, scope, question, arguments))
    except StoreError as error:
        if not workspace.status().files:
            raise
        complain(PROGRAM, f"{error}; searched as it is")
        return workspace
    return workspace


def _answer(
    workspace: Workspace, question: Question, options: Options, arguments: SimpleNamespace
) -> Results:
    """What the index answers; one that turns out to be damaged was thrown away, and is made anew first."""
    from modstar_lsp.cli.indexing import bring_up_to_date

    def renew() -> None:
        bring_up_to_date(PROGRAM, workspace)

    def recover(error: DamagedIndex) -> bool:
        complain(PROGRAM, str(error))
        renew()
        return True

    return workspace.ask(question, options, recover=recover, renew=renew, as_indexed=arguments.no_refresh)


def _preview(
    workspace: Workspace, scope: Scope, question: Question, arguments: SimpleNamespace
) -> Callable[[], Sequence[str]] | None:
    """The best answers so far, a line each, for somebody who looks on while a large index is made."""
    if arguments.json or arguments.vimgrep or not is_terminal(sys.stdout):
        return None

    def lines() -> Sequence[str]:
        from modstar_lsp.cli.output import header, shown_path

        try:
            results = workspace.ask(question, _options(arguments, scope)._replace(k=_PREVIEWED))
        except ModstarError:
            return []
        words = question.words()
        return [
            header(shown_path(workspace.root, hit.path), workspace.describe(hit, words), style("never", None))
            for hit in results.hits
        ]

    return lines


def _is_shown_twice(arguments: SimpleNamespace) -> bool:
    """Whether somebody looks on: the first answer at once, then a better order in its place."""
    if arguments.budget == 0 or arguments.json or arguments.vimgrep or arguments.similar is not False:
        return False
    return is_terminal(sys.stdout)


def _show(answers: Sequence[Answered], arguments: SimpleNamespace) -> tuple[Sequence[Answered], int]:
    """Write the hits on standard output in the form that was asked for; what they are of, and how many."""
    out = sys.stdout
    if not _is_shown_twice(arguments) or out is None:
        return answers, _print(answers, arguments)
    first, _ = _for_people(answers, arguments)
    back = rows_of(first, out)
    if back is not None:  # as long as it can be taken back
        out.write(first)
        out.flush()
    budget = (_BUDGET if arguments.budget is None else arguments.budget) / len(answers)
    better = [
        one._replace(
            results=_answer(one.workspace, one.question, one.options._replace(budget=budget), arguments)
        )
        for one in answers
    ]
    text, count = _for_people(better, arguments)
    if back is None:
        out.write(text)
    elif text != first:
        out.write((f"\x1b[{back}A\x1b[J" if back else "") + text)
    out.flush()
    return better, count


def _for_people(answers: Sequence[Answered], arguments: SimpleNamespace) -> tuple[str, int]:
    """The hits in lines of text, and how many there are."""
    from modstar_lsp.cli.output import Layout, human, shown_path

    words = _words(answers, arguments)
    found = _described(answers, words, arguments.k)
    # Of code that would be nearly all its words, so none.
    marked = frozenset() if answers[0].question.code else words
    lines = arguments.lines if arguments.snippet else 0
    layout = Layout.fit(sys.stdout, style(arguments.color, sys.stdout), marked, lines, arguments.explain)
    between = "\n" if lines or arguments.explain else ""
    hits = (human(shown_path(root, hit.hit.path), hit, layout) for root, hit in found)
    return between.join(hits), len(found)


def _print(answers: Sequence[Answered], arguments: SimpleNamespace) -> int:
    """Write the hits on standard output in the form that was asked for; how many there are."""
    from modstar_lsp.cli.output import is_misread, shown_path, vimgrep

    out = sys.stdout
    if not arguments.json and not arguments.vimgrep:
        text, count = _for_people(answers, arguments)
        if out is not None:
            out.write(text)
            out.flush()
        return count
    words = _words(answers, arguments)
    found = _described(answers, words, arguments.k)
    if out is None:
        return len(found)
    marked = frozenset() if answers[0].question.code else words
    if arguments.json:
        several = len(answers) > 1

        def encoded(root: Path, hit: Description) -> dict[str, Any]:
            form = hit.encoded(arguments.snippet, arguments.explain)
            return {"root": str(root), **form} if several else form

        closest = _closest(answers) if not found else None
        meant = _meant(answers) if not found else ""
        roots = [str(one.workspace.root) for one in answers]
        say_json(
            {
                "query": answers[0].question.text,
                **({"roots": roots} if several else {"root": roots[0]}),
                "coverage": round(min(one.results.indexed_share for one in answers), 4),
                "seconds": round(sum(one.results.took for one in answers), 4),
                "hits": [encoded(root, hit) for root, hit in found],
                "closest": encoded(*closest) if closest else None,
                **({"did_you_mean": meant} if meant else {}),
            }
        )
    else:
        paths = [shown_path(root, hit.hit.path) for root, hit in found]
        for path, (_, hit) in zip(paths, found, strict=True):
            if not is_misread(path):
                out.write(vimgrep(path, hit, marked))
        if misread := sorted(set(filter(is_misread, paths))):
            complain(PROGRAM, f"left out: editors misread {misread[0]!r} in such lines; --json shows all")
    out.flush()
    return len(found)


def _words(answers: Sequence[Answered], arguments: SimpleNamespace) -> frozenset[str]:
    """The words that tell which part of a hit to show: those of the question, and of what has to match."""
    import re

    from modstar_lsp.search.snippet import asked_words

    wanted = (asked_words(re.sub(r"\\.", " ", pattern)) for pattern in arguments.regex)
    return answers[0].question.words().union(*wanted)


def _described(
    answers: Sequence[Answered], words: frozenset[str], k: int
) -> Sequence[tuple[Path, Description]]:
    """The hits of all folders, best first, each with its folder."""
    found = [
        (one.workspace.root, one.workspace.describe(hit, words))
        for one in answers
        for hit in one.results.hits
    ]
    if len(answers) == 1:
        return found
    from pathlib import Path

    from modstar_lsp.workspace.several import Found, together

    return [(Path(one.root), one.it) for one in together(Found(*one) for one in found)[:k]]


def _closest(answers: Sequence[Answered]) -> tuple[Path, Description] | None:
    """What came closest where nothing was good enough."""
    near = [(one.results.closest, one) for one in answers if one.results.closest is not None]
    if not near:
        return None
    hit, one = max(near, key=lambda pair: pair[0].score)
    return one.workspace.root, one.workspace.describe(hit, one.question.words())


def _meant(answers: Sequence[Answered]) -> str:
    """The name that one in the question may be a typing error of, "" for none."""
    return next((one.results.did_you_mean for one in answers if one.results.did_you_mean), "")


def _left_out(answers: Sequence[Answered]) -> str:
    """` (left out 12: 8 ignored, 4 too large)`, of several folders each by its name; "" for nothing."""
    left_out = [(one.workspace.root, one.workspace.left_out) for one in answers if one.workspace.left_out]
    named = len(answers) > 1
    said = "; ".join(f"of {root} {summary}" if named else summary for root, summary in left_out)
    return f" (left out {said})" if said else ""


def _say_what_is_missing(answers: Sequence[Answered], wrong: Sequence[ModstarError]) -> None:
    """A line for each folder that could not be asked, or not in full, or not as it was meant."""
    for error in wrong:
        complain(PROGRAM, str(error))
    for one in answers:
        where = f"{one.workspace.root}: " if len(answers) > 1 else ""
        if one.results.indexed_share < 1:
            share = f"{one.results.indexed_share:.0%}"
            complain(PROGRAM, f"{where}{share} of the files are indexed so far; ask again for the rest")
    for note in dict.fromkeys(one.results.note for one in answers if one.results.note):
        complain(PROGRAM, note)


def _say_who_ordered(answers: Sequence[Answered], explain: bool) -> None:
    """A line for a reader of the user's own that gave no order; when asked to explain, for one that did."""
    stages = [one.results.stage for one in answers if one.results.stage is not None]
    for note in dict.fromkeys(stage.note if explain else stage.failure for stage in stages):
        if note:
            complain(PROGRAM, note)


def _why_nothing(answers: Sequence[Answered]) -> str:
    """One line for a search without hits: what was searched, and what came closest."""
    from modstar_lsp.cli.indexing import count
    from modstar_lsp.cli.output import shown_path
    from modstar_lsp.workspace.english import BEST_IN_ENGLISH

    question = answers[0].question
    files = sum(one.workspace.status().files for one in answers)
    if not files:
        where = ", ".join(str(one.workspace.root) for one in answers)
        if any(one.workspace.pending() for one in answers):
            return f"{where} is not indexed yet: modstar-index does it, or a search without --no-refresh"
        return f"{where} holds no file that can be searched (modstar-index --dry-run -v says why)"
    message = f"no good match for {question} in {count(files, 'file')}"
    if not question.may_be_english:
        message += f" ({BEST_IN_ENGLISH})"
    left_out = _left_out(answers)
    if meant := _meant(answers):
        return f"{message}; did you mean {meant}?{left_out}"
    closest = _closest(answers)
    if closest is None:
        return message + left_out
    root, found = closest
    place = f"{shown_path(root, found.hit.path)}:{found.line}{' ' + found.symbol if found.symbol else ''}"
    return f"{message}; the closest is {place}, {found.hit.score:.2f}: --min-score 0 shows it{left_out}"
