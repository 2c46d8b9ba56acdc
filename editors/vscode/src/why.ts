// "Why is this file not found?": asks the program that indexes, which lists every file and why it leaves out others.
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { incomplete } from './hits';
import { safeFolder } from './lookup';
import type { Server } from './server';
import { MANAGE_TRUST } from './status';

const WINDOWS = process.platform === 'win32';
const PROGRAM = WINDOWS ? 'modstar-index.exe' : 'modstar-index';
const MODULE = 'modstar_lsp.cli.index';
/** The list of a large project: a hundred thousand files at a hundred bytes, and room. */
const OUTPUT_BYTES = 100_000_000;

/** What the program's reasons mean for a user; what is not here speaks for itself. */
const MEANING: Record<string, string> = {
  ignored: 'an ignore file, like .gitignore, leaves it out',
  excluded: 'the setting modstar.index.exclude leaves it out',
  'not included': 'the setting modstar.index.include does not name it',
  vendored: "it is in a folder of other people's code",
  secret: 'its name says that it holds secrets',
  link: 'it is a link',
};

interface Listing {
  root: string;
  files: string[];
  /** Folders end in "/". */
  skipped: { path: string; reason: string }[];
}

/** Says whether a file is indexed and, when it is not, why. The file in the editor when none is given. */
export async function whyNotFound(server: Server, file = vscode.window.activeTextEditor?.document.uri): Promise<void> {
  const folder = file && vscode.workspace.getWorkspaceFolder(file);
  if (file === undefined || folder === undefined) {
    void vscode.window.showInformationMessage('Only files in an open folder are searched: choose one in the explorer.');
    return;
  }
  const name = path.relative(folder.uri.fsPath, file.fsPath).split(path.sep).join('/');
  const status = server.status?.folders.find(({ uri }) => vscode.Uri.parse(uri).fsPath === folder.uri.fsPath);
  if (status?.coverage.state === 'off') {
    await sayOff(status.message ?? 'the folder is not indexed');
    return;
  }
  const listing = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: `modstar: looking for ${name}` },
    () => list(server, folder),
  );
  const said = explain(listing, name, status && incomplete(status.coverage));
  const settings = 'Open Settings';
  const all = 'Show All That Is Left Out';
  const chosen = await vscode.window.showInformationMessage(said, ...(said.includes('modstar.index') ? [settings] : []), all);
  if (chosen === settings) await vscode.commands.executeCommand('workbench.action.openSettings', 'modstar.index');
  if (chosen === all) await showSkipped(listing);
}

async function showSkipped({ root, skipped }: Listing): Promise<void> {
  const lines = [`Not searched in ${root}:`, '', ...skipped.map(({ path: left, reason }) => `${left}: ${MEANING[reason] ?? reason}`)];
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: lines.join('\n') }));
}

function explain({ files, skipped }: Listing, name: string, unknown: string | undefined): string {
  if (files.includes(name)) return `${name} is among the files that are searched${unknown === undefined ? '' : `, but ${unknown}`}.`;
  const found = skipped.find(({ path: left }) => left === name || (left.endsWith('/') && name.startsWith(left)));
  if (found === undefined) return `${name} is not searched: no such file was found, or a folder above it is left out.`;
  const what = found.path === name ? '' : ` (${found.path})`;
  return `${name} is not searched: ${MEANING[found.reason] ?? found.reason}${what}.`;
}

async function sayOff(message: string): Promise<void> {
  const manage = vscode.workspace.isTrusted ? [] : ['Manage Workspace Trust'];
  const chosen = await vscode.window.showInformationMessage(`No file of this folder is searched: ${message}`, ...manage);
  if (chosen !== undefined) await vscode.commands.executeCommand(MANAGE_TRUST.command);
}

async function list(server: Server, folder: vscode.WorkspaceFolder): Promise<Listing> {
  const [command, ...args] = await indexer(server);
  const settings = vscode.workspace.getConfiguration('modstar.index', folder.uri);
  for (const option of ['include', 'exclude']) {
    for (const glob of settings.get<string[]>(option, [])) args.push(`--${option}=${glob}`);
  }
  args.push('--dry-run', '--json', '--', folder.uri.fsPath);
  const output = await new Promise<string>((resolve, reject) => {
    execFile(command, args, { cwd: safeFolder(), maxBuffer: OUTPUT_BYTES }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr.trim().split('\n').at(-1) ?? error.message));
    });
  });
  return JSON.parse(output) as Listing;
}

/** The program that indexes, of the same installation as the server. */
async function indexer(server: Server): Promise<[string, ...string[]]> {
  const { program } = server;
  if (program === undefined) throw new Error("the language server is not installed, so nothing is indexed");
  const module = program.args.indexOf('-m');
  if (module !== -1) return [program.command, ...program.args.slice(0, module + 1), MODULE];
  const beside = path.join(path.dirname(program.command), PROGRAM);
  try {
    await access(beside);
  } catch {
    throw new Error(`${PROGRAM}, which could tell, is not beside ${program.command}`);
  }
  return [beside];
}
