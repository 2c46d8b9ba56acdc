// The status bar item: how much is indexed, and everything that can be done about it one click away.
import * as vscode from 'vscode';
import { coverageText, percent } from './hits';
import type { Coverage, Status } from './protocol';
import type { Server } from './server';

/** The way out of "not indexed: this workspace is not trusted". */
export const MANAGE_TRUST = { label: '$(shield) Manage workspace trust', command: 'workbench.trust.manage' };
export const RESUME = { label: '$(debug-start) Resume indexing', command: 'modstar.resumeIndexing' };

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('modstar.status', vscode.StatusBarAlignment.Right, 50);
  private readonly listener: vscode.Disposable;

  constructor(private readonly server: Server) {
    this.item.name = 'modstar';
    this.item.command = 'modstar.menu';
    this.listener = server.onDidChange(() => {
      this.update();
    });
    this.update();
    this.item.show();
  }

  dispose(): void {
    this.listener.dispose();
    this.item.dispose();
  }

  private update(): void {
    const { condition, status } = this.server;
    const worrying = condition === 'missing' || condition === 'stopped';
    this.item.text = text(this.server);
    this.item.backgroundColor = worrying ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    this.item.tooltip = worrying ? sentence(this.server) : tooltip(status);
    this.item.accessibilityInformation = { label: sentence(this.server) };
  }
}

/** Everything there is to do, with the present state as the title. */
export async function showMenu(server: Server): Promise<void> {
  type Entry = vscode.QuickPickItem & { command: string };
  const entries: Entry[] = [];
  const add = (icon: string, label: string, command: string, description = '') =>
    entries.push({ label: `$(${icon}) ${label}`, command: `modstar.${command}`, description });
  if (server.condition === 'running') {
    add('search', 'Search code by meaning', 'search');
    add('question', 'Why is this file not found?', 'whyNotFound', 'the file in the editor');
    if (!isOff(server.status)) {
      if (server.status?.paused) entries.push(RESUME);
      else add('debug-pause', 'Pause indexing', 'pauseIndexing', 'searches go on with what is known');
      add('refresh', 'Rebuild the index', 'rebuildIndex');
      add('trash', 'Delete the index', 'clearIndex');
    }
  }
  if (server.condition === 'missing') add('clippy', 'Copy the command that installs the server', 'copyInstallCommand');
  add('debug-restart', server.condition === 'running' ? 'Restart server' : 'Start server', 'restart');
  add('output', 'Show logs', 'showLogs');
  add('info', 'Print debug information', 'debugInformation');
  if (!vscode.workspace.isTrusted) {
    entries.unshift(MANAGE_TRUST);
  }
  const chosen = await vscode.window.showQuickPick(entries, { title: sentence(server), placeHolder: 'What to do' });
  if (chosen !== undefined) await vscode.commands.executeCommand(chosen.command);
}

function text({ condition, status }: Server): string {
  if (condition === 'missing' || condition === 'stopped') return '$(warning) modstar';
  if (condition === 'starting' || status === undefined) return '$(loading~spin) modstar';
  const coverage = least(status);
  if (status.paused || coverage?.state === 'paused') return `$(debug-pause) modstar${rest(coverage)}`;
  switch (coverage?.state) {
    case 'starting':
      return '$(loading~spin) modstar';
    case 'indexing':
      return `$(sync~spin) modstar ${percent(coverage.share)}`;
    case 'failed':
      return '$(warning) modstar';
    case 'off':
      return '$(shield) modstar';
    default:
      return `$(search) modstar${rest(coverage)}`;
  }
}

function rest(coverage: Coverage | undefined): string {
  return coverage === undefined || coverage.share >= 1 ? '' : ` ${percent(coverage.share)}`;
}

/** The folder that is known least: the answer to "can I rely on it yet?". */
function least({ folders }: Status): Coverage | undefined {
  return [...folders].sort((one, other) => one.coverage.share - other.coverage.share)[0]?.coverage;
}

/** Whether no folder is to be indexed: there is nothing to pause then. */
function isOff(status: Status | undefined): boolean {
  return status !== undefined && status.folders.length > 0 && status.folders.every(({ coverage }) => coverage.state === 'off');
}

function sentence({ condition, status }: Server): string {
  if (condition === 'missing') return 'modstar: the server is not installed';
  if (condition === 'stopped') return 'modstar: the server is not running';
  if (condition === 'starting' || status === undefined) return 'modstar: starting';
  const folders = status.folders.map(({ name, message, coverage }) => {
    const better = coverage.state === 'deepening' ? `; ${deepeningText(coverage)}` : '';
    return `${name}, ${message ?? `${coverageText(coverage)}${better}`}`;
  });
  return `modstar: ${[...(status.paused ? ['paused'] : []), ...folders].join('; ') || 'no folder open'}`;
}

/** What "deepening" is to a user: everything is found already, and the order gets better. */
function deepeningText({ deepened }: Coverage): string {
  return `answers get better while you work: ${percent(deepened)}`;
}

function tooltip(status: Status | undefined): vscode.MarkdownString {
  const commands = ['modstar.search', 'modstar.pauseIndexing', 'modstar.resumeIndexing', 'modstar.menu', MANAGE_TRUST.command];
  const markdown = new vscode.MarkdownString('', true);
  markdown.isTrusted = { enabledCommands: commands };
  if (status === undefined) return markdown.appendText('modstar is starting');
  for (const { name, coverage, message } of status.folders) {
    markdown.appendMarkdown('**').appendText(name).appendMarkdown('** ');
    if (coverage.state === 'off') {
      markdown.appendText(message ?? coverageText(coverage)).appendMarkdown('\n\n');
      continue;
    }
    markdown.appendText(`${coverageText(coverage)}, ${coverage.chunks.toLocaleString('en')} pieces of code`);
    if (coverage.state === 'deepening') markdown.appendText(`; ${deepeningText(coverage)}`);
    if (message !== undefined) markdown.appendMarkdown('  \n$(info) ').appendText(message);
    markdown.appendMarkdown('\n\n');
  }
  if (status.folders.length === 0) markdown.appendMarkdown('No folder open\n\n');
  let act = '[$(debug-pause) Pause](command:modstar.pauseIndexing)';
  if (!vscode.workspace.isTrusted && isOff(status)) act = `[${MANAGE_TRUST.label}](command:${MANAGE_TRUST.command})`;
  else if (status.paused) act = '[$(debug-start) Resume](command:modstar.resumeIndexing)';
  return markdown.appendMarkdown(
    `[$(search) Search](command:modstar.search) &nbsp; ${act} &nbsp; [$(ellipsis) More](command:modstar.menu)`,
  );
}
