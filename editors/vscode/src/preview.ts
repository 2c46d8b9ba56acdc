// Shows hits in the editor while the user chooses among them, and brings back what was there before.
//
// A hit is shown as a read-only copy, an address of our own: the file itself is not opened. So its editor, if there is
// one, keeps its scroll position, cursor and folding to the pixel, which the API could not restore; the explorer, which
// follows files, unfolds no folder; no language server reads a file that is only passed over; and nothing of it stays
// in the list of recent files or among the places that "Go Back" returns to.
import * as vscode from 'vscode';
import { goTo, lines, uri } from './hits';
import type { Hit } from './protocol';

/** The first hit changes with every word typed: it is shown in a pause. The others follow the arrow keys. */
const DELAY_FIRST_MS = 300;
const DELAY_MS = 60;
/** The list ends above the middle of a high editor; of one with fewer lines, above a panel say, it covers so many more. */
const LOW_EDITOR_LINES = 48;
const COVERED_LINES = 6;
const SCHEME = 'modstar-preview';

/** The text of the copies: as the file's open document stands, else as it lies on the disk. */
export const copies: vscode.TextDocumentContentProvider = {
  async provideTextDocumentContent({ query }) {
    const original = query.slice(query.indexOf(' ') + 1);
    const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === original);
    if (open !== undefined) return open.getText();
    return new TextDecoder().decode(await vscode.workspace.fs.readFile(vscode.Uri.parse(original)));
  },
};

export function registerCopies(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, copies);
}

/** VS Code keeps the text of an address: that of an earlier preview may be out of date. */
let previews = 0;

export class Preview implements vscode.Disposable {
  private readonly number = ++previews;
  private readonly before = remember();
  private readonly highlight = vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new vscode.ThemeColor('editor.rangeHighlightBackground'),
    // themes of high contrast have no such background
    borderColor: new vscode.ThemeColor('focusBorder'),
    borderStyle: 'solid',
    borderWidth: '0 0 0 2px',
  });
  private timer: NodeJS.Timeout | undefined;
  /** The hit to show next: one that was passed by before it could be shown is not shown any more. */
  private wanted: Hit | undefined;
  private showing: Promise<void> | undefined;
  private shown = false;
  private ended = false;

  show(hit: Hit): void {
    if (this.ended) return; // the news of the list's focus may come after its end
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.wanted = hit;
      this.showing ??= this.catchUp();
    }, hit.rank === 1 ? DELAY_FIRST_MS : DELAY_MS);
  }

  /** Shows nothing more; what is shown stays. */
  async settle(): Promise<void> {
    this.ended = true;
    clearTimeout(this.timer);
    this.wanted = undefined;
    await this.showing;
  }

  /** Takes the copies away. */
  async close(): Promise<void> {
    await this.settle();
    await vscode.window.tabGroups.close(openTabs().filter(isCopy));
  }

  /** Puts the editors back as they were before the first hit was shown. */
  async restore(): Promise<void> {
    await this.settle();
    if (!this.shown) return;
    const { replaced, active } = this.before;
    if (replaced !== undefined) {
      // the copies took the place of the group's own preview, as any preview does
      await reopen(replaced);
      if (active !== undefined && active.input !== replaced.input) await reopen(active);
    }
    await this.close(); // what was active before becomes so again, and has the focus if the copy had it
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.highlight.dispose();
  }

  private async catchUp(): Promise<void> {
    while (this.wanted !== undefined) {
      const hit = this.wanted;
      this.wanted = undefined;
      try {
        await this.display(hit);
      } catch {
        // the file is gone, say
      }
    }
    this.showing = undefined;
  }

  private async display(hit: Hit): Promise<void> {
    this.shown = true;
    const file = uri(hit);
    const copy = vscode.Uri.from({ scheme: SCHEME, path: file.path, query: `${this.number} ${file.toString()}` });
    const editor = await goTo(copy, hit, { preview: true, preserveFocus: true }, belowList);
    editor.setDecorations(this.highlight, [lines(hit, editor.document)]);
  }
}

/** How many lines below the middle of the editor no list covers it. */
function belowList({ visibleRanges }: vscode.TextEditor): number {
  const lines = visibleRanges.reduce((sum, { start, end }) => sum + end.line - start.line + 1, 0);
  return lines < LOW_EDITOR_LINES ? Math.min(COVERED_LINES, Math.floor(lines / 4)) : 0;
}

/** What it takes to open a tab again; VS Code remembers its scroll position, cursor and folding. */
interface Remembered {
  input: unknown;
  options: vscode.TextDocumentShowOptions;
}

function remember(): { active: Remembered | undefined; replaced: Remembered | undefined } {
  const { tabs, activeTab, viewColumn } = vscode.window.tabGroups.activeTabGroup;
  const keep = (tab: vscode.Tab | undefined) =>
    tab && { input: tab.input, options: { viewColumn, preview: tab.isPreview } };
  return { active: keep(activeTab), replaced: keep(tabs.find((tab) => tab.isPreview)) };
}

async function reopen({ input, options }: Remembered): Promise<void> {
  if (input instanceof vscode.TabInputText) {
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(input.uri), options);
  } else if (input instanceof vscode.TabInputCustom) {
    await vscode.commands.executeCommand('vscode.openWith', input.uri, input.viewType, options);
  } else if (input instanceof vscode.TabInputNotebook) {
    await vscode.commands.executeCommand('vscode.openWith', input.uri, input.notebookType, options);
  }
}

function openTabs(): vscode.Tab[] {
  return vscode.window.tabGroups.all.flatMap((group) => group.tabs);
}

function isCopy({ input }: vscode.Tab): boolean {
  return input instanceof vscode.TabInputText && input.uri.scheme === SCHEME;
}
