// The live search: results as the sentence is typed, best first, each previewed as it is passed over.
import * as path from 'node:path';
import * as vscode from 'vscode';
import { gist, icon, incomplete, keepingPlaces, LIKELY, name, open, sameCode, scope, score, shortPlace } from './hits';
import { Preview } from './preview';
import type { Coverage, Hit, SearchResult } from './protocol';
import type { Results } from './results';
import { NotRunning, type Server } from './server';
import { MANAGE_TRUST, RESUME } from './status';
import { asked } from './words';

/** A pause in typing shorter than this asks nothing. A query takes some 10 ms, a fast typist 100 ms a key. */
const DEBOUNCE_MS = 80;
const RECENT_KEY = 'modstar.recentQueries';
const RECENT_KEPT = 20;
/** True while the search is open: Alt+Up and Alt+Down go through the questions then. */
const SEARCHING = 'modstar.searching';

const TO_SIDE: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('split-horizontal'), tooltip: 'Open to the Side' };
const KEEP: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('pin'), tooltip: 'Keep These Results in the Side Bar' };

const CODE_ONLY: Filter = { iconPath: new vscode.ThemeIcon('code'), tooltip: 'Code Only, No Tests', filter: 'in:code' };

const LESS_LIKELY: Item = { label: 'less likely', kind: vscode.QuickPickItemKind.Separator };

/** As much of a reason as a row shows, up to a comma. */
const ROW = /.{1,72}(?:,(?= )|$)|.+?(?:,(?= )|$)/g;

type Item = vscode.QuickPickItem & { hit?: Hit; query?: string; command?: string };
/** A button that puts a filter into the question, or takes it out again. */
type Filter = vscode.QuickInputButton & { filter: string };
type Shown = Pick<SearchResult, 'hits' | 'coverage'> & Partial<SearchResult>;

/** For keybindings: `"args": { "query": "..." }` starts with that question. */
export interface SearchArguments {
  query?: string;
}

export function searchByMeaning(
  server: Server,
  results: Results,
  memory: vscode.Memento,
  { query: first = '' }: SearchArguments = {},
): void {
  if (!vscode.workspace.workspaceFolders?.length) {
    void offerFolder();
    return;
  }
  current = new Search(server, results, memory);
  current.begin(first);
}

/** Puts the question before the one in the open search into it (1), or the one after it (-1). */
export function recall(by: 1 | -1): void {
  current?.recall(by);
}

let current: Search | undefined;

async function offerFolder(): Promise<void> {
  const openFolder = 'Open Folder...';
  const chosen = await vscode.window.showInformationMessage('modstar searches a folder: open one first.', openFolder);
  if (chosen !== undefined) await vscode.commands.executeCommand('vscode.openFolder');
}

class Search {
  private readonly pick = vscode.window.createQuickPick<Item>();
  private readonly preview = vscode.workspace.getConfiguration('modstar').get<boolean>('preview')
    ? new Preview()
    : undefined;
  private timer: NodeJS.Timeout | undefined;
  private asking: vscode.CancellationTokenSource | undefined;
  /** What the list answers, and whether in full: Enter must not open the answer to less than what was typed. */
  private answered: { query: string; complete: boolean; result: Shown } | undefined;
  /** The hits of the list, from top to bottom. */
  private shown: Hit[] = [];
  /** Whether the user has moved in it. */
  private moved = false;
  /** How many lists VS Code has yet to draw. */
  private drawing = 0;
  /** The row in focus before the list that is being drawn: that VS Code goes back to it is not the user's doing. */
  private before: Hit | undefined;
  private acceptWhenAnswered = false;
  private accepted = false;
  /** How far back among the recent questions the one in the input is: 0 for one that was typed. */
  private recalled = 0;
  private typed = '';

  constructor(
    private readonly server: Server,
    private readonly results: Results,
    private readonly memory: vscode.Memento,
  ) {}

  begin(query: string): void {
    const { pick } = this;
    pick.placeholder = 'Describe the code you are looking for (Alt+Up: earlier questions)';
    // VS Code would move items whose name matches to the top, against the ranking. Not in its published types.
    (pick as { sortByLabel?: boolean }).sortByLabel = false;
    // hides nothing (alwaysShow), but marks what was typed where it stands as typed
    pick.matchOnDescription = true;
    pick.matchOnDetail = true;
    pick.buttons = [KEEP, CODE_ONLY, ...thisFolder()];
    pick.onDidChangeValue((value) => {
      if (value === this.questions()[this.recalled]) return; // by recall, which has asked
      this.typed = value;
      this.recalled = 0;
      this.acceptWhenAnswered = false;
      this.ask(value.trim(), DEBOUNCE_MS);
    });
    pick.onDidChangeActive(([item]) => {
      if (item?.hit === undefined) return;
      const back = this.drawing > 0 && sameCode(item.hit, this.before);
      if (!back) this.moved ||= this.shown.indexOf(item.hit) > 0;
      this.preview?.show(item.hit);
    });
    pick.onDidAccept(() => {
      this.accept();
    });
    pick.onDidTriggerButton((button) => {
      if (button === KEEP) this.keep();
      else this.narrow((button as Filter).filter);
    });
    pick.onDidTriggerItemButton(({ item }) => {
      if (item.hit !== undefined) void this.finish(item.hit, { viewColumn: vscode.ViewColumn.Beside });
    });
    pick.onDidHide(() => {
      void this.end();
    });
    pick.value = query;
    this.typed = query;
    void vscode.commands.executeCommand('setContext', SEARCHING, true);
    this.showStatus();
    this.ask(query.trim(), 0); // first: an Enter that comes at once finds a row to take, not an empty list
    pick.show();
  }

  recall(by: 1 | -1): void {
    const questions = this.questions();
    const question = questions[this.recalled + by];
    if (question === undefined) return;
    this.recalled += by;
    this.pick.value = question;
    this.ask(question.trim(), 0);
  }

  /** The question with the filter, or without it when it has it: it stands there as if it had been typed. */
  private narrow(filter: string): void {
    const padded = ` ${this.pick.value.trimEnd()} `;
    const has = padded.includes(` ${filter} `);
    this.typed = (has ? padded.replace(` ${filter} `, ' ') : `${padded}${filter} `).trimStart();
    this.recalled = 0;
    this.acceptWhenAnswered = false;
    this.pick.value = this.typed;
    this.ask(this.typed.trim(), 0);
  }

  /** What was typed, then the recent questions, the last one first. */
  private questions(): string[] {
    return [this.typed, ...this.recent()];
  }

  private ask(query: string, delay: number): void {
    clearTimeout(this.timer);
    this.asking?.cancel();
    this.asking = undefined;
    if (query === '') {
      this.answered = undefined;
      this.pick.busy = false;
      this.pick.items = this.recent().map((query) => ({ label: `$(history) ${query}`, query, alwaysShow: true }));
      this.showStatus();
      return;
    }
    this.pick.busy = true;
    // VS Code ignores Enter on an empty list, and a fast typist presses it before the first answer
    if (this.answered === undefined) this.pick.items = [note('Searching ...')];
    this.timer = setTimeout(() => void this.answer(query), delay);
  }

  private async answer(query: string): Promise<void> {
    const asking = new vscode.CancellationTokenSource();
    this.asking = asking;
    try {
      const result = await this.server.search({ query }, asking.token, (better) => {
        if (this.asking === asking) this.display(query, better, false);
      });
      if (this.asking === asking) this.display(query, result, true);
    } catch (error) {
      if (this.asking !== asking || error instanceof vscode.CancellationError) return;
      if (error instanceof NotRunning) this.pick.hide(); // said already
      else this.showNote(error instanceof Error ? error.message : String(error));
    } finally {
      if (this.asking === asking) this.pick.busy = false;
      asking.dispose();
    }
  }

  private display(query: string, result: Shown, complete: boolean): void {
    if (this.answered?.query !== query) this.moved = false;
    this.answered = { query, complete, result };
    const focused = this.pick.activeItems[0]?.hit;
    const at = this.shown.findIndex((hit) => sameCode(hit, focused));
    // who has moved finds the row, and all above it, where they were; who has not is at the new first hit
    const stays = this.moved && at !== -1 && result.hits.length > 0;
    this.shown = stays ? keepingPlaces(this.shown, at, result.hits) : result.hits;
    const words = asked(query);
    const items: Item[] = this.shown.map((hit) => describe(hit, words));
    const unlikely = 1 + this.shown.map((hit) => hit.score >= LIKELY).lastIndexOf(true);
    if (unlikely < items.length) items.splice(unlikely, 0, LESS_LIKELY);
    if (items.length === 0 && complete) {
      items.push(...(incomplete(result.coverage) === undefined ? notes(result.message) : [note('Nothing found')]));
      items.push(...wayOut(result.coverage));
      if (result.closest !== undefined) items.push(describe(result.closest, words));
    }
    this.pick.keepScrollPosition = stays;
    this.pick.items = items;
    if (stays) this.pick.activeItems = items.filter(({ hit }) => hit !== undefined && sameCode(hit, focused));
    else this.pick.activeItems = result.hits.length > 0 ? items.slice(0, 1) : items.slice(-1); // the closest, not a note
    this.before = focused;
    void this.drawn();
    this.showStatus();
    const best = result.hits[0];
    if (complete && this.acceptWhenAnswered && best !== undefined) void this.finish(best, {});
  }

  /**
   * Waits until the list is drawn. VS Code first leaves the focus on a row that looks as the focused one did, wherever it
   * is now, then takes it to the row that it was told, and says both.
   */
  private async drawn(): Promise<void> {
    this.drawing++;
    await new Promise((resolve) => setTimeout(resolve, 0)); // it sends what was set at the end of the turn
    // a command that does nothing new: its answer comes after all that was said of the rows
    await vscode.commands.executeCommand('setContext', SEARCHING, current === this);
    this.drawing--;
    const hit = this.pick.activeItems[0]?.hit;
    if (this.drawing === 0 && hit !== undefined) this.moved ||= this.shown.indexOf(hit) > 0;
  }

  private showNote(text: string): void {
    this.answered = undefined;
    this.pick.items = [note(text)];
  }

  private showStatus(): void {
    const result = this.answered?.result;
    const coverage = result?.coverage;
    const parts = ['modstar'];
    if (this.answered?.complete && result?.took !== undefined && result.hits.length > 0) {
      const count = result.hits.length;
      parts.push(`${String(count)} result${count === 1 ? '' : 's'} in ${String(Math.max(1, Math.round(result.took)))} ms`);
    }
    const coverages = coverage === undefined ? this.server.status?.folders.map((folder) => folder.coverage) : [coverage];
    const known = coverages?.map(incomplete).find((text) => text !== undefined);
    if (known !== undefined) parts.push(known);
    else if (this.answered?.complete && result?.message !== undefined && result.hits.length > 0) parts.push(result.message);
    this.pick.title = parts.join('  ·  ');
  }

  private accept(): void {
    const item = this.pick.activeItems[0] ?? this.pick.selectedItems[0];
    if (item?.command !== undefined) {
      this.pick.hide();
      void vscode.commands.executeCommand(item.command);
      return;
    }
    if (item?.query !== undefined) {
      this.pick.value = item.query;
      this.ask(item.query, 0);
      return;
    }
    const query = this.pick.value.trim();
    const answered = this.answered?.query === query ? this.answered : undefined;
    // the row may still be the note that stood there before the answer, whose rows VS Code has not drawn yet
    const hit = answered && (item?.hit ?? (answered.complete ? answered.result.hits[0] : undefined));
    if (hit !== undefined) void this.finish(hit, {});
    else if (query !== '') this.acceptWhenAnswered = true;
  }

  private async finish(hit: Hit, options: vscode.TextDocumentShowOptions): Promise<void> {
    this.accepted = true;
    this.remember();
    this.keepQuietly();
    this.pick.hide();
    await this.preview?.settle();
    // beside what was there before; in its own place without a glimpse of what was there before
    if (options.viewColumn !== undefined) await this.preview?.restore();
    await open(hit, { ...options, preview: false });
    await this.preview?.close();
    this.preview?.dispose();
  }

  private keep(): void {
    this.keepQuietly();
    this.remember();
    this.pick.hide();
    void this.results.reveal();
  }

  /** The results view holds the last list that was used. */
  private keepQuietly(): void {
    if (this.answered === undefined) return;
    const { query, result } = this.answered;
    this.results.set({ kind: 'search', query }, result);
  }

  private async end(): Promise<void> {
    clearTimeout(this.timer);
    this.asking?.cancel();
    this.asking = undefined;
    this.pick.dispose();
    if (current === this) {
      current = undefined;
      void vscode.commands.executeCommand('setContext', SEARCHING, false);
    }
    if (this.accepted) return; // finish() takes the preview away
    await this.preview?.restore();
    this.preview?.dispose();
  }

  private recent(): string[] {
    return this.memory.get<string[]>(RECENT_KEY, []);
  }

  private remember(): void {
    const query = this.answered?.query;
    if (query === undefined) return;
    const others = this.recent().filter((other) => other !== query);
    void this.memory.update(RECENT_KEY, [query, ...others].slice(0, RECENT_KEPT));
  }
}

function describe(hit: Hit, words: ReadonlySet<string>): Item {
  return {
    label: `$(${icon(hit)}) ${name(hit)}`,
    // VS Code cuts off the end of the row: what tells most comes first
    description: `${score(hit)}  ${shortPlace(hit)}${hit.unsaved ? ' · unsaved' : ''}`,
    detail: [scope(hit), gist(hit, words)].filter((part) => part !== '').join('  ·  '),
    // without it VS Code hides what does not contain the typed words
    alwaysShow: true,
    buttons: [TO_SIDE],
    hit,
  };
}

/** The filter for the folder of the file in the editor, unless that is all of the workspace folder. */
function thisFolder(): Filter[] {
  const file = vscode.window.activeTextEditor?.document.uri;
  if (file?.scheme !== 'file' || vscode.workspace.getWorkspaceFolder(file) === undefined) return [];
  const folder = path.posix.dirname(vscode.workspace.asRelativePath(file, false));
  if (folder === '.') return [];
  // what a glob would read otherwise stands for any character
  const glob = `${folder.replace(/[*?[\]"]/g, '?')}/**`;
  const filter = `path:${/\s/.test(glob) ? `"${glob}"` : glob}`;
  return [{ iconPath: new vscode.ThemeIcon('folder'), tooltip: `This Folder: ${folder}`, filter }];
}

/** What can be done where nothing is found because too little is known. */
function wayOut({ state, share }: Coverage): Item[] {
  if (state === 'off' && !vscode.workspace.isTrusted) return [{ ...MANAGE_TRUST, alwaysShow: true }];
  if (state === 'paused' && share < 1) return [{ ...RESUME, alwaysShow: true }];
  return [];
}

function note(text: string): Item {
  return { label: `$(info) ${text}`, alwaysShow: true };
}

/** Why nothing is found, each reason in rows of its own: VS Code cuts off the end of a row. */
function notes(message = 'no good match'): Item[] {
  return message.split('; ').flatMap((reason) => reason.match(ROW) ?? []).map((row) => note(row.trim()));
}
