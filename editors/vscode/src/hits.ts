// How a hit looks in a list, and how it is opened.
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Range } from 'vscode-languageclient/node';
import type { Coverage, Hit, HitKind } from './protocol';

const ICONS: Record<HitKind, string> = {
  function: 'symbol-function',
  method: 'symbol-method',
  class: 'symbol-class',
  type: 'symbol-interface',
  module: 'symbol-namespace',
  section: 'symbol-string',
  text: 'symbol-file',
};

export function icon(hit: Hit): string {
  return ICONS[hit.kind];
}

export function name(hit: Hit): string {
  return hit.symbol || path.posix.basename(hit.path);
}

/** "src/upload.py:22", after the folder's name where there are several. */
export function place(hit: Hit): string {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const folder = folders.length > 1 ? vscode.workspace.getWorkspaceFolder(uri(hit))?.name : undefined;
  return `${folder === undefined ? '' : `${folder}/`}${hit.path}:${String(hit.selectionRange.start.line + 1)}`;
}

/** "upload.py:22 · src": for narrow lists, which cut off the end. */
export function shortPlace(hit: Hit): string {
  const folder = path.posix.dirname(hit.path);
  const file = `${path.posix.basename(hit.path)}:${String(hit.selectionRange.start.line + 1)}`;
  return folder === '.' ? file : `${file} · ${folder}`;
}

export function score(hit: Hit): string {
  return hit.score.toFixed(2);
}

/** The snippet on one line. */
export function gist(hit: Hit): string {
  return hit.snippet.text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('  ');
}

/** "all 214 files indexed" or how far it is. */
export function coverageText(coverage: Coverage): string {
  const files = `${String(coverage.files)} file${coverage.files === 1 ? '' : 's'}`;
  switch (coverage.state) {
    case 'starting':
      return 'starting';
    case 'off':
      return 'not indexed';
    case 'failed':
      return 'indexing failed';
    default:
      if (coverage.share < 1 && coverage.files === 0) return 'nothing indexed';
      if (coverage.share >= 1) return `${files} indexed`;
      return `${percent(coverage.share)} of ${files} indexed`;
  }
}

/** Rounded down: 100 % means all. */
export function percent(share: number): string {
  return `${String(Math.floor(share * 100))} %`;
}

export function uri(hit: Hit): vscode.Uri {
  return vscode.Uri.parse(hit.uri);
}

export function toRange(range: Range): vscode.Range {
  return new vscode.Range(range.start.line, range.start.character, range.end.line, range.end.character);
}

/** Opens the hit's file with the cursor where its symbol is named. */
export async function open(hit: Hit, options: vscode.TextDocumentShowOptions = {}): Promise<vscode.TextEditor> {
  const start = toRange(hit.selectionRange).start;
  const editor = await vscode.window.showTextDocument(uri(hit), { ...options, selection: new vscode.Range(start, start) });
  editor.revealRange(toRange(hit.range), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  return editor;
}
