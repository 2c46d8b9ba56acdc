// The language server as the rest of the extension sees it: start, restart, ask, and what it last said of itself.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import * as vscode from 'vscode';
import {
  type CancellationToken,
  CloseAction,
  type CloseHandlerResult,
  ErrorAction,
  type ExecutableOptions,
  type InitializeParams,
  LanguageClient,
  type LanguageClientOptions,
  LSPErrorCodes,
  type RequestType,
  ResponseError,
  RevealOutputChannelOn,
  State,
} from 'vscode-languageclient/node';
import { BadSetting, findProgram, INSTALL_COMMAND, type Program, safeFolder } from './lookup';
import {
  type SearchParams,
  SearchProgress,
  SearchRequest,
  type SearchResult,
  type Status,
  StatusChanged,
  StatusRequest,
  TrustNotification,
} from './protocol';
import { readerEnvironment, serverSettings } from './settings';

/** A server that ends more often than this in so many minutes stays down until the user starts it. */
const CRASHES_ENDURED = 4;
const CRASH_WINDOW_MS = 3 * 60_000;

/** The server's last words may come after the news of its end; they are not waited for longer. */
const LAST_WORDS_MS = 1000;
/** What the server calls the code lens of a definition that is like no other. */
const NO_SIMILAR = 'no similar code';

const NEVER = new vscode.CancellationTokenSource().token;

export type Condition = 'starting' | 'running' | 'stopped' | 'missing';

/** There is no server to ask; the user has been told why. */
export class NotRunning extends Error {}

export class Server implements vscode.Disposable {
  condition: Condition = 'starting';
  status: Status | undefined;
  program: Program | undefined;

  private client: QuietClient | undefined;
  private turn: Promise<unknown> = Promise.resolve();
  private nextToken = 0;
  private crashes: number[] = [];
  /** The last line that the server wrote outside of its log: why it did not start. */
  private lastWords = '';
  private silent: Promise<void> = Promise.resolve();
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly found = new vscode.EventEmitter<void>();
  readonly onDidChangeProgram = this.found.event;

  constructor(private readonly log: vscode.LogOutputChannel) {}

  /** Starts the server, or starts it again with the settings of now. One at a time, in order. */
  restart(): Promise<void> {
    const turn = this.turn.then(async () => {
      this.crashes = [];
      await this.stop();
      await this.start();
    });
    this.turn = turn.catch((error: unknown) => {
      this.log.error(String(error));
    });
    return turn;
  }

  dispose(): Promise<void> {
    const turn = this.turn.then(() => this.stop());
    this.turn = turn;
    return turn;
  }

  /** Asks the server. Throws NotRunning when there is none, vscode.CancellationError when the question was withdrawn. */
  async request<P, R>(type: RequestType<P, R, void>, params: P, token?: CancellationToken): Promise<R> {
    const client = await this.running();
    try {
      // with no token at all the client would send the parameters as a list
      return await client.sendRequest<R>(type.method, params, token ?? NEVER);
    } catch (error) {
      if (token?.isCancellationRequested || isCancelled(error)) throw new vscode.CancellationError();
      throw error;
    }
  }

  /** Searches; `better` receives each complete list that is better than the one before, until the last is returned. */
  async search(
    params: SearchParams,
    token: CancellationToken,
    better: (found: Pick<SearchResult, 'hits' | 'coverage'>) => void,
  ): Promise<SearchResult> {
    const client = await this.running();
    const partialResultToken = `modstar-search-${String(this.nextToken++)}`;
    const listener = client.onProgress(SearchProgress, partialResultToken, better);
    try {
      return await this.request(SearchRequest, { ...params, partialResultToken }, token);
    } finally {
      listener.dispose();
    }
  }

  async execute(command: string): Promise<void> {
    const client = await this.running();
    await client.sendRequest('workspace/executeCommand', { command, arguments: [] });
  }

  async askStatus(): Promise<Status> {
    return this.request(StatusRequest, {});
  }

  async trust(): Promise<void> {
    // what was not allowed to be looked at for a program before may hold one now
    if (this.condition === 'missing') await this.restart();
    else await this.client?.sendNotification(TrustNotification, { trusted: true });
  }

  /** One sentence on why there is no server, with what to do about it. */
  async tellMissing(): Promise<void> {
    const copy = 'Copy Install Command';
    const again = 'Try Again';
    const settings = 'Open Settings';
    const chosen = await vscode.window.showWarningMessage(
      `modstar's language server is not installed: run ${INSTALL_COMMAND}, your clone in its place, then try again.`,
      copy,
      again,
      settings,
    );
    if (chosen === copy) await vscode.commands.executeCommand('modstar.copyInstallCommand');
    else if (chosen === again) await this.restart();
    else if (chosen === settings) await vscode.commands.executeCommand('workbench.action.openSettings', 'modstar.path');
  }

  private async running(): Promise<LanguageClient> {
    await this.turn;
    if (this.condition === 'missing') {
      void this.tellMissing();
      throw new NotRunning("modstar's language server is not installed");
    }
    if (this.client === undefined || this.condition === 'stopped') {
      void this.tellStopped('is not running');
      throw new NotRunning("modstar's language server is not running");
    }
    return this.client;
  }

  /** One notification with the reason, as far as the server gave one. */
  private async tellStopped(what: string): Promise<void> {
    await Promise.race([this.silent, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
    const reason = this.lastWords === '' ? '.' : `: ${this.lastWords}`;
    const restart = 'Restart';
    const logs = 'Show Logs';
    const chosen = await vscode.window.showErrorMessage(`modstar's language server ${what}${reason}`, restart, logs);
    if (chosen === restart) await this.restart();
    else if (chosen === logs) this.log.show();
  }

  private async start(): Promise<void> {
    this.enter('starting');
    try {
      this.program = await findProgram();
    } catch (error) {
      if (!(error instanceof BadSetting)) throw error;
      this.enter('stopped');
      this.log.error(error.message);
      const open = 'Open Settings';
      void vscode.window.showErrorMessage(error.message, open).then((chosen) => {
        if (chosen === open) void vscode.commands.executeCommand('workbench.action.openSettings', 'modstar.');
      });
      return;
    }
    if (this.program === undefined) {
      this.enter('missing');
      this.log.warn(`no modstar-lsp beside the Python interpreter or on the PATH; to install it: ${INSTALL_COMMAND}`);
      void this.tellMissing();
      return;
    }
    this.found.fire();
    const { command, foundBy } = this.program;
    const args = [...this.program.args, ...vscode.workspace.getConfiguration('modstar').get<string[]>('args', [])];
    this.log.info(`starting ${[command, ...args].join(' ')} (found by ${foundBy})`);
    const options: ExecutableOptions = { cwd: safeFolder(), env: { ...process.env, ...readerEnvironment() } };
    this.lastWords = '';
    const client = new QuietClient('modstar', 'modstar', { command, args, options }, this.clientOptions());
    this.client = client;
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) return;
      if (newState === State.Starting) this.enter('starting');
      else if (newState === State.Running) this.enter('running');
      else this.enter('stopped');
    });
    client.onNotification(StatusChanged, (status) => {
      this.status = status;
      this.changed.fire();
    });
    try {
      await client.start();
      this.status = await client.sendRequest(StatusRequest, {});
      this.changed.fire();
    } catch (error) {
      this.enter('stopped');
      this.log.error(`${command} did not start: ${String(error)}`);
      void this.tellStopped('did not start');
    }
  }

  private clientOptions(): LanguageClientOptions {
    return {
      documentSelector: [{ scheme: 'file' }],
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      stdioOptions: {
        stdout: logLines,
        stderr: (input, log) => {
          this.silent = new Promise((resolve) => input.once('close', resolve));
          logLines(input, log, (line) => {
            this.lastWords = line;
          });
        },
      },
      // told by start(), in our words, once
      initializationFailedHandler: () => false,
      errorHandler: {
        // a pipe that breaks is followed by the end of the process, and that is what counts
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => this.ended(),
      },
      initializationOptions: {
        trusted: vscode.workspace.isTrusted,
        showSimilar: 'client',
        settings: serverSettings(),
      },
      middleware: {
        // VS Code asks for actions wherever the cursor goes, and shows a light bulb where there is one
        provideCodeActions: (document, range, context, token, next) =>
          context.triggerKind === vscode.CodeActionTriggerKind.Automatic && context.only === undefined
            ? []
            : next(document, range, context, token),
        resolveCodeLens: async (lens, token, next) => {
          const resolved = await next(lens, token);
          if (resolved?.command?.title === NO_SIMILAR) resolved.command = { title: '', command: '' };
          return resolved;
        },
        workspace: {
          configuration: (params) =>
            params.items.map(({ section, scopeUri }) =>
              section === 'modstar'
                ? serverSettings(scopeUri === undefined ? undefined : vscode.Uri.parse(scopeUri))
                : null,
            ),
        },
      },
    };
  }

  /** Whether the server, which ended unasked, is started again: not when it never ran, not time and again. */
  private ended(): CloseHandlerResult {
    const now = Date.now();
    this.crashes = [...this.crashes.filter((at) => now - at < CRASH_WINDOW_MS), now];
    if (this.condition !== 'running') return { action: CloseAction.DoNotRestart, handled: true };
    if (this.crashes.length <= CRASHES_ENDURED) return { action: CloseAction.Restart, handled: true };
    void this.tellStopped('ended again and again');
    return { action: CloseAction.DoNotRestart, handled: true };
  }

  private async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.status = undefined;
    try {
      await client?.end();
    } catch (error) {
      this.log.warn(`the server did not stop in an orderly way: ${String(error)}`);
    }
  }

  private enter(condition: Condition): void {
    this.condition = condition;
    void vscode.commands.executeCommand('setContext', 'modstar.running', condition === 'running');
    this.changed.fire();
  }
}

/** Its errors go to the log alone: what concerns the user is told in our words, once. */
class QuietClient extends LanguageClient {
  private ending = false;

  override error(message: string, data?: unknown): void {
    // a changed setting or a closed document of which a server that is being stopped cannot be told any more
    if (!this.ending) super.error(message, data, false);
  }

  /** Stops the server, for good. Throws when it does not end in an orderly way. */
  async end(): Promise<void> {
    this.ending = true;
    await this.dispose();
  }

  /** How far the index is has one place, the status bar item: VS Code would show the server's progress beside it. */
  protected override fillInitializeParams(params: InitializeParams): void {
    super.fillInitializeParams(params);
    params.capabilities.window = { ...params.capabilities.window, workDoneProgress: false };
  }
}

/** The server's own log lines, with its levels; `other` receives what else it writes. */
function logLines(input: Readable, log: vscode.LogOutputChannel, other: (line: string) => void = () => undefined): void {
  createInterface({ input }).on('line', (line) => {
    const [, level, text] = /^[\d-]+ [\d:,]+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)$/.exec(line) ?? [];
    if (level === 'DEBUG') log.debug(`server: ${text ?? ''}`);
    else if (level === 'INFO') log.info(`server: ${text ?? ''}`);
    else if (level === 'WARNING') log.warn(`server: ${text ?? ''}`);
    else log.error(`server: ${text ?? line}`);
    if (level === undefined && line.trim() !== '') other(line.trim());
  });
}

function isCancelled(error: unknown): boolean {
  return (
    error instanceof ResponseError &&
    (error.code === LSPErrorCodes.RequestCancelled || error.code === LSPErrorCodes.ServerCancelled)
  );
}
