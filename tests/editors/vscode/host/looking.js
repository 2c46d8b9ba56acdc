// What the tests in the extension host look with.
'use strict';
const assert = require('assert');
const { execFileSync } = require('child_process');
const vscode = require('vscode');

const TIMEOUT_MS = 60_000; // ends a hang, measures nothing

/** The first value of `probe` that is not undefined; fails with what was waited for. */
async function until(what, probe) {
  const end = Date.now() + TIMEOUT_MS;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    assert(Date.now() < end, `never came: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

const command = (name, ...args) => vscode.commands.executeCommand(name, ...args);

async function show(path, line = 0) {
  const uri = vscode.Uri.joinPath(vscode.workspace.workspaceFolders[0].uri, path);
  const editor = await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri));
  editor.selection = new vscode.Selection(line, 0, line, 0);
  return editor;
}

/** Where the active editor stands: "upload.py:22". */
function place() {
  const editor = vscode.window.activeTextEditor;
  return editor && `${editor.document.uri.path.split('/').pop()}:${editor.selection.active.line + 1}`;
}

const at = (where) => until(`the editor at ${where}, it is at ${place()}`, () => place() === where);

/** Asks, as a keybinding with arguments does, and opens the best answer. */
async function search(query) {
  await command('modstar.search', { query });
  await command('workbench.action.acceptSelectedQuickOpenItem');
}

/** What "Print debug information" writes. */
async function information() {
  await command('modstar.debugInformation');
  const { document } = await until('the information', () => {
    const editor = vscode.window.activeTextEditor;
    return editor?.document.getText().startsWith('# modstar: debug information') ? editor : undefined;
  });
  const text = document.getText();
  await command('workbench.action.revertAndCloseActiveEditor');
  const status = /## Status\n\n```json\n(.*)\n```/s.exec(text);
  return { text, status: status && JSON.parse(status[1]) };
}

/** The processes below the extension host whose command line has the words: [pid, ...]. */
function processes(words) {
  const all = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).trim().split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)).map(([, pid, parent, args]) => ({ pid, parent, args }));
  return all.filter(({ parent, args }) => parent === String(process.pid) && args.includes(words)).map(({ pid }) => Number(pid));
}

module.exports = { assert, at, command, information, place, processes, search, show, until, vscode };
