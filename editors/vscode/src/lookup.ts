// Finds the program to start: the user's settings, the extension's own, beside the Python interpreter, on the PATH.
import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import * as path from 'node:path';
import * as vscode from 'vscode';

export const INSTALL_COMMAND = 'pip install ~/src/modstar';

const WINDOWS = process.platform === 'win32';
const PROGRAM = WINDOWS ? 'modstar-lsp.exe' : 'modstar-lsp';
const MODULE = 'modstar_lsp.server';
/** The one command, which lies beside the server and has the module that holds the server's. */
const COMMAND = WINDOWS ? 'modstar.exe' : 'modstar';
const COMMAND_MODULE = 'modstar_lsp';
/** Importing Python's machinery for finding modules takes some 50 ms; a cold disk a second or more. */
const PROBE_TIMEOUT_MS = 10_000;

export interface Program {
  command: string;
  args: string[];
  /** How it was found, for people. */
  foundBy: string;
}

/** A setting names something that cannot be run. The message says which and what to do. */
export class BadSetting extends Error {}

/**
 * The program to start, or undefined when there is none.
 * Throws BadSetting when `modstar.path` or `modstar.interpreter` names something that cannot be run.
 */
export async function findProgram(): Promise<Program | undefined> {
  const settings = vscode.workspace.getConfiguration('modstar');
  const [command, ...args] = settings.get<string[]>('path', []);
  if (command !== undefined) {
    const file = await executable(command);
    if (file === undefined) {
      throw new BadSetting(`The setting modstar.path names ${command}, which is not a program: correct or clear it.`);
    }
    return { command: file, args, foundBy: 'the setting modstar.path' };
  }
  const [interpreter, ...options] = settings.get<string[]>('interpreter', []);
  if (interpreter !== undefined) {
    const file = await executable(interpreter);
    const found = file === undefined ? undefined : await besideInterpreter(file, options);
    if (found === undefined) {
      throw new BadSetting(
        `The setting modstar.interpreter names ${interpreter}, where modstar is not installed: run ${INSTALL_COMMAND} there.`,
      );
    }
    return { ...found, foundBy: 'the setting modstar.interpreter' };
  }
  const own = await broughtAlong();
  if (own !== undefined) return own;
  const selected = await selectedInterpreter();
  const beside = selected === undefined ? undefined : await besideInterpreter(selected, []);
  if (beside !== undefined) return { ...beside, foundBy: 'the interpreter of the Python extension' };
  const onPath = await executable(PROGRAM);
  return onPath === undefined ? undefined : { command: onPath, args: [], foundBy: 'the PATH' };
}

/** What starts the server for agents of the installation that `program` belongs to; undefined where nobody can tell. */
export function agentCommand({ command, args }: Program): { command: string; args: string[] } | undefined {
  if (args.at(-1) === MODULE) return { command, args: [...args.slice(0, -1), COMMAND_MODULE, 'mcp'] };
  if (path.basename(command) !== PROGRAM) return undefined;
  return { command: path.join(path.dirname(command), COMMAND), args: ['mcp'] };
}

/** A folder that no workspace controls. Python puts its working folder before the installed packages. */
export function safeFolder(): string {
  return homedir();
}

/** The server in a package for one platform, with a Python of its own; other packages have none. */
async function broughtAlong(): Promise<Program | undefined> {
  const python = path.join(__dirname, '..', 'server', ...(WINDOWS ? ['python.exe'] : ['bin', 'python3']));
  if (!(await isProgram(python))) return undefined;
  return { command: python, args: ['-I', '-m', MODULE], foundBy: 'the extension, which brings it along' };
}

/** The file to run for a name or a path; relative entries of the PATH, which a workspace could fill, are skipped. */
async function executable(name: string): Promise<string | undefined> {
  if (path.isAbsolute(name)) return (await isProgram(name)) ? name : undefined;
  if (name.includes('/') || name.includes(path.sep)) return undefined;
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder))) {
    for (const file of WINDOWS && !path.extname(name) ? [`${name}.exe`] : [name]) {
      const candidate = path.join(folder, file);
      if (await isProgram(candidate)) return candidate;
    }
  }
  return undefined;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, WINDOWS ? constants.F_OK : constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

async function besideInterpreter(python: string, options: string[]): Promise<Omit<Program, 'foundBy'> | undefined> {
  const script = path.join(path.dirname(python), PROGRAM);
  if (options.length === 0 && (await isProgram(script))) return { command: script, args: [] };
  const probe = `import importlib.util as u, sys; sys.exit(not (u.find_spec("modstar_lsp") and u.find_spec("${MODULE}")))`;
  const installed = await new Promise<boolean>((resolve) => {
    execFile(python, [...options, '-c', probe], { cwd: safeFolder(), timeout: PROBE_TIMEOUT_MS }, (error) => {
      resolve(error === null);
    });
  });
  return installed ? { command: python, args: [...options, '-m', MODULE] } : undefined;
}

/** The part of the Python extension's interface that is used here. */
interface PythonExtension {
  environments: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { path: string };
    resolveEnvironment(environment: { path: string }): Promise<{ executable: { uri?: vscode.Uri } } | undefined>;
    onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

async function pythonExtension(): Promise<PythonExtension | undefined> {
  const extension = vscode.extensions.getExtension<PythonExtension | undefined>('ms-python.python');
  try {
    return await extension?.activate();
  } catch {
    return undefined; // its own failure is its own to report
  }
}

/** Not in a workspace that is not trusted: the interpreter may lie inside it. */
async function selectedInterpreter(): Promise<string | undefined> {
  if (!vscode.workspace.isTrusted) return undefined;
  const environments = (await pythonExtension())?.environments;
  if (environments === undefined) return undefined;
  const active = environments.getActiveEnvironmentPath(vscode.workspace.workspaceFolders?.[0]?.uri);
  return (await environments.resolveEnvironment(active))?.executable.uri?.fsPath;
}

/** Calls back when another interpreter is selected in the Python extension. */
export async function onInterpreterChange(changed: () => void): Promise<vscode.Disposable> {
  const environments = (await pythonExtension())?.environments;
  return environments?.onDidChangeActiveEnvironmentPath(changed) ?? new vscode.Disposable(() => undefined);
}
