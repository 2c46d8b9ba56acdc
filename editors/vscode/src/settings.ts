// The settings that concern the server; the others are read where they are used.
import * as vscode from 'vscode';

const SECTIONS = ['search', 'index', 'background', 'workspaceSymbol', 'codeLens', 'duplicates'];

/** Those that take effect when the server starts. */
export const AT_START = ['modstar.path', 'modstar.interpreter', 'modstar.args', 'modstar.reader'];

/** The variables that name the user's own reader: the server takes it from its environment alone, never from settings. */
export function readerEnvironment(): Record<string, string> {
  const reader = vscode.workspace.getConfiguration('modstar.reader');
  const url = reader.get<string>('url', '');
  if (url === '') return {};
  return {
    MODSTAR_READER: url,
    MODSTAR_READER_MODEL: reader.get<string>('model', ''),
    MODSTAR_READER_SECONDS: String(reader.get<number>('seconds', 10)),
  };
}

/** The section "modstar" without what chooses the program or only concerns this extension. */
export function serverSettings(scope?: vscode.Uri): Record<string, unknown> {
  const settings = vscode.workspace.getConfiguration('modstar', scope);
  return Object.fromEntries(SECTIONS.map((section) => [section, settings.get(section)]));
}
