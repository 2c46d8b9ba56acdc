// "Find similar code": for a selection, for the definition around the cursor, or for a result.
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { DocumentUri, Range } from 'vscode-languageclient/node';
import { lineNumbers, name, toRange, uri } from './hits';
import { type Hit, type SimilarParams, SimilarRequest } from './protocol';
import type { Results } from './results';
import { NotRunning, type Server } from './server';

interface Target {
  params: SimilarParams;
  title: string;
  document: vscode.Uri;
  position: vscode.Position;
}

export async function findSimilar(server: Server, results: Results, target = targetOfEditor()): Promise<void> {
  if (target === undefined) {
    void vscode.window.showInformationMessage('Open a file and place the cursor in the code to compare.');
    return;
  }
  const { params, title, document, position } = target;
  if (vscode.workspace.getConfiguration('modstar').get('similar.show') !== 'peek') {
    await results.ask({ kind: 'similar', params, title });
    return;
  }
  try {
    const { hits } = await server.request(SimilarRequest, params);
    const locations = hits.map((hit) => new vscode.Location(uri(hit), toRange(hit.selectionRange)));
    await vscode.commands.executeCommand(
      'editor.action.peekLocations', document, position, locations, 'peek', 'No similar code found',
    );
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
  }
}

/** From the server's code action and code lens. */
export function targetOfCommand({ uri: document, range }: { uri: DocumentUri; range: Range }): Target {
  const { start } = range;
  return {
    params: { textDocument: { uri: document }, range },
    title: similarTo(vscode.Uri.parse(document), range),
    document: vscode.Uri.parse(document),
    position: new vscode.Position(start.line, start.character),
  };
}

export function targetOfHit(hit: Hit): Target {
  return {
    params: { textDocument: { uri: hit.uri }, range: hit.range },
    title: `Similar to ${hit.symbol || name(hit)}`,
    document: uri(hit),
    position: toRange(hit.selectionRange).start,
  };
}

function targetOfEditor(): Target | undefined {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) return undefined;
  const { document, selection } = editor;
  const from = { document: document.uri, position: selection.start };
  const title = similarTo(document.uri, selection);
  if (document.uri.scheme !== 'file') {
    // the server knows files; of anything else (untitled, a diff's other side, output) it gets the text
    const text = document.getText(selection.isEmpty ? undefined : selection);
    return { ...from, params: { text }, title };
  }
  const textDocument = { uri: document.uri.toString() };
  const params = selection.isEmpty ? { textDocument, position: selection.active } : { textDocument, range: selection };
  return { ...from, params: plain(params), title };
}

/** VS Code's positions as JSON objects have other names than the protocol's. */
function plain(params: { textDocument: { uri: string }; position?: vscode.Position; range?: vscode.Range }): SimilarParams {
  const point = ({ line, character }: vscode.Position) => ({ line, character });
  const { textDocument, position, range } = params;
  return {
    textDocument,
    ...(position && { position: point(position) }),
    ...(range && { range: { start: point(range.start), end: point(range.end) } }),
  };
}

function similarTo(document: vscode.Uri, range: Range | vscode.Range): string {
  return `Similar to ${path.posix.basename(document.path)}:${lineNumbers(range)}`;
}
