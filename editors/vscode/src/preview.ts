// Shows hits in the editor while the user chooses among them, and brings back what was there before.
import * as vscode from 'vscode';
import { open, toRange } from './hits';
import type { Hit } from './protocol';

/** The first hit changes with every word typed: it is shown in a pause. The others follow the arrow keys. */
const DELAY_FIRST_MS = 300;
const DELAY_MS = 60;

export class Preview implements vscode.Disposable {
  private readonly before = remember();
  private readonly highlight = vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new vscode.ThemeColor('editor.rangeHighlightBackground'),
  });
  private timer: NodeJS.Timeout | undefined;
  private showing: Promise<void> = Promise.resolve();
  private shown = false;

  show(hit: Hit): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.showing = this.showing.then(() => this.display(hit)).catch(() => undefined); // e.g. the file is gone
    }, hit.rank === 1 ? DELAY_FIRST_MS : DELAY_MS);
  }

  /** Forgets what was to be shown next; what is shown stays. */
  async settle(): Promise<void> {
    clearTimeout(this.timer);
    await this.showing;
  }

  /** Puts the editors back as they were before the first hit was shown. */
  async restore(): Promise<void> {
    await this.settle();
    if (!this.shown) return;
    const { editor, tabs } = this.before;
    if (editor !== undefined) {
      const { document, viewColumn, selections, visible, preview } = editor;
      const restored = await vscode.window.showTextDocument(document, { viewColumn, preview });
      restored.selections = selections;
      if (visible !== undefined) restored.revealRange(visible, vscode.TextEditorRevealType.AtTop);
    }
    const ours = openTabs().filter((tab) => tab.isPreview && !tabs.has(address(tab)));
    await vscode.window.tabGroups.close(ours, true);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.highlight.dispose();
  }

  private async display(hit: Hit): Promise<void> {
    this.shown = true;
    const editor = await open(hit, { preview: true, preserveFocus: true });
    editor.setDecorations(this.highlight, [toRange(hit.range)]);
  }
}

function remember() {
  const editor = vscode.window.activeTextEditor;
  return {
    tabs: new Set(openTabs().map(address)),
    editor:
      editor?.viewColumn === undefined
        ? undefined
        : {
            document: editor.document,
            viewColumn: editor.viewColumn,
            selections: editor.selections,
            visible: editor.visibleRanges[0],
            preview: vscode.window.tabGroups.activeTabGroup.activeTab?.isPreview ?? false,
          },
  };
}

function openTabs(): vscode.Tab[] {
  return vscode.window.tabGroups.all.flatMap((group) => group.tabs);
}

function address(tab: vscode.Tab): string {
  const what = tab.input instanceof vscode.TabInputText ? tab.input.uri.toString() : tab.label;
  return `${String(tab.group.viewColumn)} ${what}`;
}
