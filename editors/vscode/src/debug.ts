// What a bug report needs, in a document that the user can read before sending it anywhere.
import * as os from 'node:os';
import * as vscode from 'vscode';
import type { Server } from './server';

export async function printDebugInformation(server: Server, extensionVersion: string): Promise<void> {
  const { program, condition } = server;
  const status = condition === 'running' ? await server.askStatus() : undefined;
  const settings = vscode.workspace.getConfiguration('modstar');
  const lines = [
    '# modstar: debug information',
    '',
    'Read it before you share it: it contains paths of your machine.',
    '',
    `- extension: ${extensionVersion}`,
    `- VS Code: ${vscode.version} (${vscode.env.appName}${vscode.env.remoteName === undefined ? '' : `, remote: ${vscode.env.remoteName}`})`,
    `- system: ${os.platform()} ${os.release()} ${os.arch()}, ${String(os.cpus().length)} cores`,
    `- workspace: ${vscode.workspace.isTrusted ? 'trusted' : 'not trusted'}, ${String(vscode.workspace.workspaceFolders?.length ?? 0)} folders`,
    `- server: ${condition}`,
    `- program: ${program === undefined ? 'none' : `${[program.command, ...program.args].join(' ')} (found by ${program.foundBy})`}`,
    '',
    '## Settings',
    '',
    ...json(settings),
    '',
    '## Status',
    '',
    ...(status === undefined ? ['not running'] : json(status)),
    '',
  ];
  const document = await vscode.workspace.openTextDocument({ language: 'markdown', content: lines.join('\n') });
  await vscode.window.showTextDocument(document);
}

function json(value: unknown): string[] {
  return ['```json', JSON.stringify(value, null, 2), '```'];
}
