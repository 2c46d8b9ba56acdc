// The settings that concern the server; the others are read where they are used.
import * as vscode from 'vscode';

const SECTIONS = ['search', 'index', 'background', 'workspaceSymbol', 'codeLens', 'duplicates'];

/** Those that take effect when the server starts. */
export const AT_START = ['modstar.path', 'modstar.interpreter', 'modstar.args'];

/** The section "modstar" without what chooses the program or only concerns this extension. */
export function serverSettings(scope?: vscode.Uri): Record<string, unknown> {
  const settings = vscode.workspace.getConfiguration('modstar', scope);
  return Object.fromEntries(SECTIONS.map((section) => [section, settings.get(section)]));
}
