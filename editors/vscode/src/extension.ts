// What the extension is made of, and which command does what.
import * as vscode from 'vscode';
import { offerTools } from './agent';
import { printDebugInformation } from './debug';
import { INSTALL_COMMAND, onInterpreterChange } from './lookup';
import { place, uri } from './hits';
import { registerCopies } from './preview';
import { hitOf, Results, type Row } from './results';
import { recall, type SearchArguments, searchByMeaning } from './search';
import { NotRunning, Server } from './server';
import { AT_START } from './settings';
import { findSimilar, targetOfCommand, targetOfHit } from './similar';
import { showMenu, StatusItem } from './status';
import { tick } from './walkthrough';
import { whyNotFound } from './why';

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('modstar', { log: true });
  const running = new Server(log);
  server = running;
  const results = new Results(running, context.workspaceState);
  const version = (context.extension.packageJSON as { version: string }).version;

  // VS Code passes what the caller of a command gave: `never` lets each say what it expects
  const command = (name: string, run: (...args: never[]) => unknown) =>
    vscode.commands.registerCommand(`modstar.${name}`, async (...args: never[]) => {
      try {
        await run(...args);
      } catch (error) {
        if (error instanceof NotRunning || error instanceof vscode.CancellationError) return; // said already
        log.error(`${name}: ${String(error)}`);
        void vscode.window.showErrorMessage(`modstar: ${error instanceof Error ? error.message : String(error)}`);
      }
    });

  context.subscriptions.push(
    log,
    results,
    registerCopies(),
    offerTools(running),
    new StatusItem(running),
    running.onDidChange(() => {
      if (running.condition === 'running') tick('install');
    }),
    command('search', (args?: SearchArguments) => {
      tick('search');
      searchByMeaning(running, results, context.workspaceState, args);
    }),
    command('search.previousQuestion', () => {
      recall(1);
    }),
    command('search.nextQuestion', () => {
      recall(-1);
    }),
    command('findSimilar', () => {
      tick('similar');
      return findSimilar(running, results);
    }),
    command('whyNotFound', (file?: vscode.Uri) => whyNotFound(running, file)),
    // the name that the server gives to its code action and code lens for this client
    command('client.showSimilar', (at: Parameters<typeof targetOfCommand>[0]) =>
      findSimilar(running, results, targetOfCommand(at)),
    ),
    command('results.open', (row: Row) => results.openRow(row)),
    command('results.openToSide', (row: Row) => results.openRow(row, { viewColumn: vscode.ViewColumn.Beside })),
    command('results.openAll', () => results.openAll()),
    command('results.similar', (row: Row) => findSimilar(running, results, targetOfHit(hitOf(row)))),
    command('results.copyPath', (row: Row) => vscode.env.clipboard.writeText(uri(hitOf(row)).fsPath)),
    command('results.copyRelativePath', (row: Row) => vscode.env.clipboard.writeText(place(hitOf(row)))),
    command('results.dismiss', (row: Row) => {
      results.dismiss(hitOf(row));
    }),
    command('results.next', () => results.step(1)),
    command('results.previous', () => results.step(-1)),
    command('results.refresh', () => results.refresh()),
    command('results.clear', () => {
      results.clear();
    }),
    command('menu', () => {
      tick('status');
      return showMenu(running);
    }),
    // not the server's own names: the language client registers those as long as a server runs
    command('pauseIndexing', () => running.execute('modstar.pause')),
    command('resumeIndexing', () => running.execute('modstar.resume')),
    command('rebuildIndex', () => running.execute('modstar.reindex')),
    command('clearIndex', () => clearIndex(running)),
    command('restart', () => running.restart()),
    command('showLogs', () => {
      log.show();
    }),
    command('debugInformation', () => printDebugInformation(running, version)),
    command('copyInstallCommand', async () => {
      await vscode.env.clipboard.writeText(INSTALL_COMMAND);
      vscode.window.setStatusBarMessage(`Copied: ${INSTALL_COMMAND}`, 5000);
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (AT_START.some((setting) => event.affectsConfiguration(setting))) void running.restart();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void running.trust()),
  );
  // not awaited: an activation that waits for a process delays what else starts with the window
  void running.restart();
  void onInterpreterChange(() => {
    if (running.condition === 'missing' || running.program?.foundBy.includes('interpreter')) void running.restart();
  }).then((listener) => context.subscriptions.push(listener));
}

export async function deactivate(): Promise<void> {
  await server?.dispose();
}

async function clearIndex(running: Server): Promise<void> {
  const remove = 'Delete';
  const chosen = await vscode.window.showWarningMessage(
    'Delete the index of this workspace? Nothing is found until you choose "Resume indexing".',
    { modal: true },
    remove,
  );
  if (chosen === remove) await running.execute('modstar.clear');
}
