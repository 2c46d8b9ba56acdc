// How a hit looks in a list, and how it is opened.
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Range } from 'vscode-languageclient/node';
import type { Coverage, Hit, HitKind } from './protocol';
import { held } from './words';

/** Below it a hit would not be shown by itself: the threshold of the model that comes with the server. */
export const LIKELY = 0.2;
/** A heading may be a whole sentence; longer names would push the score and the path out of sight. */
const NAME_LENGTH = 40;

const ICONS: Record<HitKind, string> = {
  function: 'symbol-function',
  method: 'symbol-method',
  class: 'symbol-class',
  type: 'symbol-interface',
  module: 'symbol-namespace',
  section: 'markdown',
  text: 'symbol-file',
};

export function icon(hit: Hit): string {
  return ICONS[hit.kind];
}

/** What the hit itself is called: "send" of "HTTPAdapter.send", and of a heading that has dots in it all of it. */
export function name(hit: Hit): string {
  return short(lastPart(hit) || file(hit));
}

/** The same below the file's name, which is said already: of a piece without a name the line where it begins. */
export function nameInFile(hit: Hit): string {
  return short(lastPart(hit)) || `line ${String(hit.selectionRange.start.line + 1)}`;
}

function short(text: string): string {
  return text.length <= NAME_LENGTH ? text : `${text.slice(0, NAME_LENGTH - 1).trimEnd()}…`;
}

/** "HTTPAdapter" of "HTTPAdapter.send"; "" outside of everything. */
export function scope(hit: Hit): string {
  return hit.symbol.slice(0, -lastPart(hit).length - 1);
}

/** The longest end of the symbol that stands in the line that names it. */
function lastPart({ symbol, selectionRange, snippet }: Hit): string {
  const naming = snippet.text.split('\n')[selectionRange.start.line - snippet.startLine] ?? '';
  const parts = symbol.split('.');
  const ends = parts.map((_, first) => parts.slice(first).join('.'));
  return ends.find((end) => naming.includes(end)) ?? parts.at(-1) ?? '';
}

function file(hit: Hit): string {
  return path.posix.basename(hit.path);
}

/** "src/upload.py:22", after the folder's name where there are several. */
export function place(hit: Hit): string {
  return path.posix.join(folder(hit), fileAndLine(hit));
}

/** "upload.py:22 · src": the part that tells comes first, since lists cut off the end. */
export function shortPlace(hit: Hit): string {
  return [fileAndLine(hit), folder(hit)].filter((part) => part !== '').join(' · ');
}

function fileAndLine(hit: Hit): string {
  return `${file(hit)}:${String(hit.selectionRange.start.line + 1)}`;
}

/** "src/shop", after the workspace folder's name where there are several; "" for the only one itself. */
export function folder(hit: Hit): string {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const root = folders.length > 1 ? vscode.workspace.getWorkspaceFolder(uri(hit))?.name : undefined;
  const inside = path.posix.dirname(hit.path);
  return [root, inside === '.' ? undefined : inside].filter((part) => part !== undefined).join('/');
}

export function score(hit: Hit): string {
  return hit.score.toFixed(2);
}

/** Whether two hits, of different answers say, are the same piece of code. */
export function sameCode(one: Hit, other: Hit | undefined): boolean {
  return other?.uri === one.uri && other.range.start.line === one.range.start.line;
}

/**
 * A better list in place of one that is being read: down to `at`, where the reader is, each row keeps its place; what
 * is left of the better list comes below, in its order.
 */
export function keepingPlaces(shown: readonly Hit[], at: number, better: readonly Hit[]): Hit[] {
  const kept = shown.slice(0, at + 1).map((hit) => better.find((one) => sameCode(one, hit)) ?? hit);
  return [...kept, ...better.filter((hit) => !kept.includes(hit))];
}

export interface Line {
  /** From 0. */
  number: number;
  text: string;
}

/** The lines that say most about the question, in their order: the hit's name, what holds asked words, what follows. */
export function tellingLines(hit: Hit, words: ReadonlySet<string>, count: number): Line[] {
  const naming = hit.selectionRange.start.line;
  const value = ({ number, text }: Line) => (number === naming ? Infinity : held(text, words) - Number(number < naming) / 2);
  return hit.snippet.text
    .split('\n')
    .map((text, i) => ({ number: hit.snippet.startLine + i, text: text.trim() }))
    .filter(({ text }) => /[\p{L}\p{N}]/u.test(text))
    .sort((one, other) => value(other) - value(one) || one.number - other.number)
    .slice(0, count)
    .sort((one, other) => one.number - other.number);
}

/** The one line beside the name that says most about the question. */
export function gist(hit: Hit, words: ReadonlySet<string>): string {
  const [first, second] = tellingLines(hit, words, 2);
  const naming = hit.selectionRange.start.line;
  return (first?.number === naming ? (second ?? first) : first)?.text ?? '';
}

/** "214 files indexed" or how far it is. */
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

/** What to know of a list that was not made from all files; how far the index is stands in the status bar alone. */
export function incomplete({ state, share }: Coverage): string | undefined {
  if (state === 'starting' || (state === 'indexing' && share < 1)) return 'still indexing: more may be found soon';
  return state === 'paused' && share < 1 ? 'indexing is paused: not all is known' : undefined;
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

/** "60" or "60-71": the lines of a range, from 1. One that ends before the first character of a line leaves that out. */
export function lineNumbers({ start, end }: Range | vscode.Range): string {
  const last = end.character === 0 && end.line > start.line ? end.line - 1 : end.line;
  return start.line === last ? String(last + 1) : `${String(start.line + 1)}-${String(last + 1)}`;
}

/** The lines of the hit in its document, without the empty ones at its end. */
export function lines(hit: Hit, document: vscode.TextDocument): vscode.Range {
  const range = document.validateRange(toRange(hit.range));
  let last = range.end.character === 0 && range.end.line > range.start.line ? range.end.line - 1 : range.end.line;
  while (last > range.start.line && document.lineAt(last).isEmptyOrWhitespace) last--;
  return new vscode.Range(range.start, document.lineAt(last).range.end);
}

/** Opens the hit's file with the cursor where its symbol is named. */
export function open(hit: Hit, options: vscode.TextDocumentShowOptions = {}): Promise<vscode.TextEditor> {
  return goTo(uri(hit), hit, options);
}

/** Opens a file of the hit's text with the hit's name in the middle, or so many lines below it. */
export async function goTo(
  at: vscode.Uri,
  hit: Hit,
  options: vscode.TextDocumentShowOptions,
  below: (editor: vscode.TextEditor) => number = () => 0,
): Promise<vscode.TextEditor> {
  const start = toRange(hit.selectionRange).start;
  const editor = await vscode.window.showTextDocument(at, { ...options, selection: new vscode.Range(start, start) });
  const middle = start.with(Math.max(start.line - below(editor), 0));
  editor.revealRange(new vscode.Range(middle, middle), vscode.TextEditorRevealType.InCenter);
  return editor;
}
