// Offers the tools of `modstar mcp` to the editor's own agent, where VS Code has an interface for that (1.101 and newer).
import * as vscode from 'vscode';
import { agentCommand, safeFolder } from './lookup';
import type { Server } from './server';
import { readerEnvironment } from './settings';

/** As in package.json. */
const PROVIDER = 'modstar.tools';

/** What VS Code has added since the oldest version that this extension runs in. */
interface Definition {
  cwd?: vscode.Uri;
}
interface Newer {
  McpStdioServerDefinition: new (label: string, command: string, args: string[], env: NodeJS.Dict<string>) => Definition;
  lm: {
    registerMcpServerDefinitionProvider?: (
      id: string,
      provider: { onDidChangeMcpServerDefinitions: vscode.Event<void>; provideMcpServerDefinitions: () => Definition[] },
    ) => vscode.Disposable;
  };
}

export function offerTools(running: Server): vscode.Disposable {
  const { lm, McpStdioServerDefinition } = vscode as unknown as Newer;
  const changed = new vscode.EventEmitter<void>();
  const fire = () => {
    changed.fire();
  };
  const provider = lm.registerMcpServerDefinitionProvider?.(PROVIDER, {
    onDidChangeMcpServerDefinitions: changed.event,
    // it indexes what it is asked about, and that is for a workspace that is trusted
    provideMcpServerDefinitions: () => {
      const found = running.program === undefined ? undefined : agentCommand(running.program);
      const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file');
      if (found === undefined || folders.length === 0 || !vscode.workspace.isTrusted) return [];
      const args = [...found.args, ...folders.map(({ uri }) => uri.fsPath)];
      const definition = new McpStdioServerDefinition('modstar', found.command, args, readerEnvironment());
      definition.cwd = vscode.Uri.file(safeFolder());
      return [definition];
    },
  });
  return vscode.Disposable.from(
    changed,
    provider ?? new vscode.Disposable(() => undefined),
    running.onDidChangeProgram(fire),
    vscode.workspace.onDidChangeWorkspaceFolders(fire),
    vscode.workspace.onDidGrantWorkspaceTrust(fire),
  );
}
