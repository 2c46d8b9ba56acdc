// The results view: the last list, best first, until another replaces it; also after a reload of the window.
import * as vscode from 'vscode';
import { coverageText, icon, name, open, place, score, shortPlace, toRange, uri } from './hits';
import { type Hit, type SearchResult, SimilarRequest, type SimilarParams } from './protocol';
import { NotRunning, type Server } from './server';

const VIEW = 'modstar.results';
const KEY = 'modstar.results';

/** What was asked, so that it can be asked again. */
export type Question = { kind: 'search'; query: string } | { kind: 'similar'; params: SimilarParams; title: string };

type Answer = Pick<SearchResult, 'hits' | 'coverage'> & Partial<SearchResult>;

export class Results implements vscode.TreeDataProvider<Hit>, vscode.Disposable {
  private kept: { question: Question; answer: Answer } | undefined;
  private current = -1;
  private asking: vscode.CancellationTokenSource | undefined;
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Hit>;

  constructor(
    private readonly server: Server,
    private readonly memory: vscode.Memento,
  ) {
    this.view = vscode.window.createTreeView(VIEW, { treeDataProvider: this, showCollapseAll: false });
    this.kept = memory.get(KEY);
    this.describe();
  }

  set(question: Question, answer: Answer): void {
    this.kept = { question, answer };
    this.current = -1;
    void this.memory.update(KEY, this.kept);
    this.describe();
    this.changed.fire(undefined);
  }

  clear(): void {
    this.kept = undefined;
    void this.memory.update(KEY, undefined);
    this.describe();
    this.changed.fire(undefined);
  }

  /** Shows the view with its first result selected, without opening it. */
  async reveal(): Promise<void> {
    const first = this.kept?.answer.hits[0];
    if (first === undefined) await vscode.commands.executeCommand(`${VIEW}.focus`);
    else await this.view.reveal(first, { select: true, focus: true });
  }

  /** Asks, with progress on the view, and shows the answer; the view comes into sight at once. */
  async ask(question: Question): Promise<void> {
    this.asking?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.asking = source;
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    await vscode.window.withProgress({ location: { viewId: VIEW } }, async () => {
      try {
        const answer =
          question.kind === 'search'
            ? await this.server.search({ query: question.query }, source.token, (better) => {
                this.set(question, better);
              })
            : await this.server.request(SimilarRequest, question.params, source.token);
        this.set(question, answer);
      } catch (error) {
        if (error instanceof NotRunning || error instanceof vscode.CancellationError) return;
        this.view.message = error instanceof Error ? error.message : String(error);
        return;
      } finally {
        source.dispose();
      }
      await this.reveal();
    });
  }

  async refresh(): Promise<void> {
    if (this.kept !== undefined) await this.ask(this.kept.question);
  }

  /** Opens the result that is so many steps from the current one; from the last it goes on at the first. */
  async step(by: 1 | -1): Promise<void> {
    const hits = this.kept?.answer.hits ?? [];
    if (hits.length === 0) return;
    const from = this.current === -1 && by === -1 ? 0 : this.current;
    this.current = (from + by + hits.length) % hits.length;
    const hit = hits[this.current];
    if (hit === undefined) return;
    await this.view.reveal(hit, { select: true, focus: false });
    await open(hit);
  }

  async openHit(hit: Hit, options?: vscode.TextDocumentShowOptions): Promise<void> {
    this.current = this.kept?.answer.hits.indexOf(hit) ?? -1;
    await open(hit, options);
  }

  getChildren(parent?: Hit): Hit[] {
    return parent === undefined ? (this.kept?.answer.hits ?? []) : [];
  }

  getParent(): undefined {
    return undefined;
  }

  getTreeItem(hit: Hit): vscode.TreeItem {
    const item = new vscode.TreeItem(name(hit));
    item.description = `${score(hit)} · ${shortPlace(hit)}`;
    item.iconPath = new vscode.ThemeIcon(icon(hit));
    item.contextValue = 'hit';
    item.tooltip = new vscode.MarkdownString(`${place(hit)}\n`).appendCodeblock(hit.snippet.text, hit.language);
    item.resourceUri = uri(hit).with({ fragment: String(toRange(hit.range).start.line + 1) });
    item.accessibilityInformation = { label: `${String(hit.rank)}: ${name(hit)}, ${place(hit)}, score ${score(hit)}` };
    item.command = { command: 'modstar.results.open', title: 'Open', arguments: [hit] };
    return item;
  }

  dispose(): void {
    this.view.dispose();
    this.changed.dispose();
  }

  private describe(): void {
    void vscode.commands.executeCommand('setContext', 'modstar.hasResults', this.kept !== undefined);
    const { view, kept } = this;
    if (kept === undefined) {
      view.description = '';
      // @ts-expect-error: undefined is what takes the message away, the types say otherwise
      view.message = undefined;
      return;
    }
    const { question, answer } = kept;
    const count = answer.hits.length;
    const asked = question.kind === 'search' ? `“${question.query}”` : question.title;
    const found = count === 0 ? (answer.message ?? 'no good match') : `${String(count)} result${count === 1 ? '' : 's'}`;
    view.message = `${asked}: ${found}${answer.coverage.share < 1 ? `, ${coverageText(answer.coverage)}` : ''}`;
  }
}
