// The results view: the last list, best first, until another replaces it; also after a reload of the window.
import * as path from 'node:path';
import * as vscode from 'vscode';
import {
  folder,
  incomplete,
  keepingPlaces,
  type Line,
  LIKELY,
  name,
  nameInFile,
  open,
  place,
  sameCode,
  score,
  tellingLines,
  toRange,
  uri,
} from './hits';
import { type Hit, type SearchResult, SimilarRequest, type SimilarParams } from './protocol';
import { NotRunning, type Server } from './server';
import { asked, marks, type Span } from './words';

const VIEW = 'modstar.results';
const KEY = 'modstar.results';
/** Lines of code shown below each result. */
const LINES = 3;
/** Characters of a line before its first marked word: what a view of 250 pixels still shows. */
const LEAD = 16;
const WORD_START = /(?<![\p{L}\p{N}_])[\p{L}\p{N}_]/gu;
/** More files than this are not opened at once without asking. */
const OPENED_UNASKED = 10;

/** What was asked, so that it can be asked again. */
export type Question = { kind: 'search'; query: string } | { kind: 'similar'; params: SimilarParams; title: string };

type Answer = Pick<SearchResult, 'hits' | 'coverage'> & Partial<SearchResult>;
/** A row of the view: a hit, or one of its lines. */
export type Row = Hit | LineOfHit;

interface LineOfHit extends Line {
  hit: Hit;
}

export class Results implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  private kept: { question: Question; answer: Answer } | undefined;
  private words: ReadonlySet<string> = new Set();
  private current = -1;
  /** Counts the questions: what is folded in the list of one says nothing of the next one's. */
  private questions = 0;
  private asking: vscode.CancellationTokenSource | undefined;
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Row>;

  constructor(
    private readonly server: Server,
    private readonly memory: vscode.Memento,
  ) {
    this.view = vscode.window.createTreeView(VIEW, { treeDataProvider: this, showCollapseAll: true });
    this.keep(memory.get(KEY));
  }

  set(question: Question, answer: Answer): void {
    this.keep({ question, answer });
  }

  clear(): void {
    this.keep(undefined);
  }

  /** Takes one result out of the list. */
  dismiss(hit: Hit): void {
    if (this.kept === undefined) return;
    const { question, answer } = this.kept;
    const hits = answer.hits.filter((other) => other !== hit);
    if (hit !== answer.closest) this.keep({ question, answer: { ...answer, hits } });
    else this.keep({ question, answer: { hits, coverage: answer.coverage } }); // the message says that it is shown
  }

  /** Opens each result's file, to stay, with the best result of each in sight. */
  async openAll(): Promise<void> {
    const hits = this.hits();
    const best = hits.filter((hit, i) => hits.findIndex((other) => other.uri === hit.uri) === i);
    const all = `Open ${String(best.length)} Files`;
    if (best.length > OPENED_UNASKED) {
      const question = `Open the files of all ${String(hits.length)} results?`;
      if ((await vscode.window.showWarningMessage(question, { modal: true }, all)) !== all) return;
    }
    for (const hit of best.reverse()) await open(hit, { preview: false }); // the best one last: it stays in front
  }

  /** Shows the view with its first result selected, without opening it. */
  async reveal(focus = true): Promise<void> {
    const [first] = this.hits();
    if (first !== undefined) await this.view.reveal(first, { select: true, focus });
    else if (focus) await vscode.commands.executeCommand(`${VIEW}.focus`);
  }

  /** Asks, with progress on the view, and shows the answer; the view comes into sight at once. */
  async ask(question: Question): Promise<void> {
    this.asking?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.asking = source;
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    let lists = 0;
    let drawn = Promise.resolve();
    const show = (answer: Answer) => {
      const first = lists++ === 0;
      drawn = drawn.then(() => (this.asking === source ? this.draw(question, answer, first) : undefined));
      return drawn;
    };
    await vscode.window.withProgress({ location: { viewId: VIEW } }, async () => {
      try {
        const answer =
          question.kind === 'search'
            ? await this.server.search({ query: question.query }, source.token, (better) => void show(better))
            : await this.server.request(SimilarRequest, question.params, source.token);
        await show(answer);
      } catch (error) {
        if (error instanceof NotRunning || error instanceof vscode.CancellationError) return;
        this.view.message = error instanceof Error ? error.message : String(error);
        return;
      } finally {
        source.dispose();
      }
    });
  }

  /** Draws the first list of an answer, or a better one in its place: under who has moved in it nothing moves. */
  private async draw(question: Question, answer: Answer, first: boolean): Promise<void> {
    const [row] = first ? [] : this.view.selection;
    const at = row === undefined ? -1 : this.hits().findIndex((hit) => sameCode(hit, hitOf(row)));
    if (row !== undefined && (at > 0 || isLine(row)) && answer.hits.length > 0) {
      this.set(question, { ...answer, hits: keepingPlaces(this.hits(), at, answer.hits) });
      return;
    }
    this.set(question, answer);
    await this.reveal(first);
  }

  async refresh(): Promise<void> {
    if (this.kept !== undefined) await this.ask(this.kept.question);
  }

  /** Opens the result that is so many steps from the current one; from the last it goes on at the first. */
  async step(by: 1 | -1): Promise<void> {
    const hits = this.hits();
    if (hits.length === 0) return;
    const from = this.current === -1 && by === -1 ? 0 : this.current;
    this.current = (from + by + hits.length) % hits.length;
    const hit = hits[this.current];
    if (hit === undefined) return;
    await this.view.reveal(hit, { select: true, focus: false });
    await open(hit);
  }

  /** Opens a result where it is named, or at one of its lines. */
  async openRow(row: Row, options: vscode.TextDocumentShowOptions = {}): Promise<void> {
    const hit = hitOf(row);
    this.current = this.hits().indexOf(hit);
    if (!isLine(row)) {
      await open(hit, options);
      return;
    }
    const start = new vscode.Position(row.number, 0);
    await vscode.window.showTextDocument(uri(hit), { ...options, selection: new vscode.Range(start, start) });
  }

  getChildren(parent?: Row): Row[] {
    if (parent === undefined) return this.hits();
    if (isLine(parent)) return [];
    return tellingLines(parent, this.words, LINES).map((line) => ({ ...line, hit: parent }));
  }

  getParent(row: Row): Hit | undefined {
    return isLine(row) ? row.hit : undefined;
  }

  getTreeItem(row: Row): vscode.TreeItem {
    const item = isLine(row) ? this.lineItem(row) : hitItem(row);
    item.id = `${String(this.questions)} ${identity(row)}`;
    item.command = { command: 'modstar.results.open', title: 'Open', arguments: [row] };
    return item;
  }

  dispose(): void {
    this.view.dispose();
    this.changed.dispose();
  }

  private lineItem({ text, number }: LineOfHit): vscode.TreeItem {
    const label = fromFirstMark(text, marks(text, this.words)[0]);
    const item = new vscode.TreeItem({ label, highlights: marks(label, this.words) });
    item.contextValue = 'line';
    item.tooltip = `${String(number + 1)}: ${text}`;
    item.accessibilityInformation = { label: `line ${String(number + 1)}: ${text}` };
    return item;
  }

  /** The rows: where nothing is good enough the closest. */
  private hits(): Hit[] {
    const { hits = [], closest } = this.kept?.answer ?? {};
    return hits.length === 0 && closest !== undefined ? [closest] : hits;
  }

  private keep(kept: { question: Question; answer: Answer } | undefined): void {
    if (JSON.stringify(kept?.question) !== JSON.stringify(this.kept?.question)) this.questions++;
    this.kept = kept;
    this.current = -1;
    this.words = kept?.question.kind === 'search' ? asked(kept.question.query) : new Set();
    void this.memory.update(KEY, kept);
    this.describe();
    this.changed.fire(undefined);
  }

  private describe(): void {
    void vscode.commands.executeCommand('setContext', 'modstar.hasResults', this.kept !== undefined);
    const { view, kept } = this;
    if (kept === undefined) {
      // @ts-expect-error: undefined is what takes the message away, the types say otherwise
      view.message = undefined;
      return;
    }
    const { question, answer } = kept;
    const count = answer.hits.length;
    const about = question.kind === 'search' ? `“${question.query}”` : question.title;
    const known = incomplete(answer.coverage);
    const nothing = known === undefined ? (answer.message ?? 'no good match') : 'nothing';
    const found = count === 0 ? nothing : `${String(count)} result${count === 1 ? '' : 's'}`;
    view.message = `${about}: ${found}${known === undefined ? '' : ` (${known})`}`;
  }
}

function hitItem(hit: Hit): vscode.TreeItem {
  const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(path.posix.basename(hit.path), hit.score < LIKELY ? Collapsed : Expanded);
  // a narrow view cuts off the end: what tells most comes first
  const parts = [`#${String(hit.rank)} ${score(hit)} ${nameInFile(hit)}`, folder(hit), hit.unsaved ? 'unsaved' : ''];
  item.description = parts.filter((part) => part !== '').join(' · ');
  item.iconPath = vscode.ThemeIcon.File;
  item.resourceUri = uri(hit).with({ fragment: String(toRange(hit.range).start.line + 1) });
  item.contextValue = 'hit';
  item.tooltip = new vscode.MarkdownString(`${place(hit)}\n`).appendCodeblock(hit.snippet.text, hit.language);
  item.accessibilityInformation = { label: `${String(hit.rank)}: ${name(hit)}, ${place(hit)}, score ${score(hit)}` };
  return item;
}

/** A line without its beginning where a narrow view would show nothing of what is marked; what is left begins a word. */
function fromFirstMark(text: string, first: Span | undefined): string {
  if (first === undefined || first[0] <= LEAD) return text;
  const from = first[0] - LEAD;
  const starts = [...text.matchAll(WORD_START)].map(({ index }) => index);
  return `…${text.slice(starts.find((start) => start >= from && start <= first[0]) ?? from)}`;
}

/** The same for the same code of two answers to one question, so that they keep what is selected and folded. */
function identity(row: Row): string {
  const { uri: file, range, score: likely } = hitOf(row);
  const parts = [file, JSON.stringify(range), likely < LIKELY ? 'less likely' : ''];
  return [...parts, ...(isLine(row) ? [String(row.number)] : [])].join(' ');
}

function isLine(row: Row): row is LineOfHit {
  return 'hit' in row;
}

export function hitOf(row: Row): Hit {
  return isLine(row) ? row.hit : row;
}
