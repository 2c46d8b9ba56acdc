// In a trusted workspace (the sample shop), the server on the PATH.
'use strict';
const fs = require('fs');
const path = require('path');
const { assert, at, command, information, place, processes, search, show, until, vscode } = require('./looking');

const folder = () => vscode.workspace.workspaceFolders[0].uri.fsPath;
const setting = (name, value) => vscode.workspace.getConfiguration('modstar').update(name, value, vscode.ConfigurationTarget.Global);

exports['the extension starts by itself'] = () =>
  until('the extension', () => vscode.extensions.getExtension('modstar.modstar')?.isActive);

exports['the folder is indexed, and the debug information says so'] = async () => {
  const { text, status } = await until('an indexed folder', async () => {
    const seen = await information();
    return ['ready', 'deepening'].includes(seen.status?.folders[0]?.coverage.state) ? seen : undefined;
  });
  assert.match(text, /found by the PATH/);
  assert.strictEqual(status.folders[0].name, 'shop');
  assert.strictEqual(status.folders[0].coverage.share, 1);
};

exports['a sentence ends at its function'] = async () => {
  await search('try again what could not be uploaded');
  await at('upload.py:22');
};

exports['Enter waits for the answer to what was typed last'] = async () => {
  await command('modstar.search', { query: 'close idle database connections' });
  await command('workbench.action.acceptSelectedQuickOpenItem');
  await at('pool.py:5');
};

exports['a place after characters beyond the basic plane is right'] = async () => {
  await search('parseJson');
  await at('client.ts:3');
  const { document, selection } = vscode.window.activeTextEditor;
  assert.strictEqual(document.getText(document.getWordRangeAtPosition(selection.active)), 'parseJson');
};

exports['Escape brings back the editor and its selection'] = async () => {
  const editor = await show('README.md', 4);
  await command('modstar.search', { query: 'compute the tax of a price' });
  await until('a preview', () => place() !== 'README.md:5' || undefined);
  await command('workbench.action.closeQuickOpen');
  await at('README.md:5');
  await until('the preview to be gone', () =>
    !vscode.window.tabGroups.all.some(({ tabs }) => tabs.some(({ label }) => label === 'tax.go')));
  assert.strictEqual(editor.document.isClosed, false);
};

exports['similar code comes in rank order, without the code itself'] = async () => {
  await show('src/shop/jsonio.py', 6);
  await command('modstar.findSimilar');
  await command('modstar.results.next');
  await at('client.ts:3');
};

exports['similar code to what was never saved'] = async () => {
  const content = 'export function readJson(text) {\n  return JSON.parse(text.split("\\n").join(""));\n}\n';
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ language: 'javascript', content }));
  await command('modstar.findSimilar');
  await command('modstar.results.next');
  await at('client.ts:3');
};

exports['the code action of the server shows similar code'] = async () => {
  const editor = await show('src/shop/jsonio.py', 5);
  const range = new vscode.Range(5, 0, 8, 0);
  const actions = await command('vscode.executeCodeActionProvider', editor.document.uri, range);
  const action = actions.find(({ title }) => title === 'Find similar code');
  assert(action, 'no such code action');
  await command(action.command.command, ...action.command.arguments);
  await command('modstar.results.next');
  await at('client.ts:3');
};

exports['an unsaved buffer counts'] = async () => {
  const editor = await show('src/shop/pool.py', 0);
  const line = editor.document.lineCount;
  const text = '\n\ndef shrink_thumbnail(picture):\n    """Scale a picture down to a thumbnail."""\n    return picture.resize(64, 64)\n';
  await editor.edit((edit) => { edit.insert(new vscode.Position(line, 0), text); });
  await show('README.md');
  await search('scale a picture down to a thumbnail');
  await at(`pool.py:${line + 2}`);
  await command('workbench.action.files.revert');
};

exports['a saved file is found, a deleted one is not'] = async () => {
  const file = path.join(folder(), 'src', 'shop', 'mail.py');
  fs.writeFileSync(file, 'def send_newsletter(subscribers):\n    """Mail the newsletter to all subscribers."""\n    for address in subscribers:\n        post(address)\n');
  const files = (count) => until(`${count} files`, async () => (await information()).status.folders[0].coverage.files === count);
  await files(7);
  await search('mail the newsletter');
  await at('mail.py:1');
  fs.unlinkSync(file);
  await files(6);
};

exports['workspace symbols are answered by meaning where the user wants it'] = async () => {
  const found = async () => {
    const symbols = await command('vscode.executeWorkspaceSymbolProvider', 'close idle database connections');
    return symbols.some(({ name }) => name.includes('close_connections'));
  };
  assert.strictEqual(await found(), false);
  await setting('workspaceSymbol.enabled', true);
  try {
    await until('a symbol', found);
  } finally {
    await setting('workspaceSymbol.enabled', undefined);
  }
};

exports['a setting reaches the server, and a wrong one is named'] = async () => {
  const limit = async () => (await information()).status.settings.search.limit;
  await setting('search.limit', 3);
  await until('the limit', async () => (await limit()) === 3);
  await setting('search.limit', 'many');
  await until('the problem', async () => (await information()).status.problems.some((line) => line.includes('search.limit')));
  await setting('search.limit', undefined);
  await until('the default', async () => (await limit()) === 20);
};

exports['pause and resume'] = async () => {
  const paused = (value) => until(`paused: ${value}`, async () => (await information()).status.paused === value);
  await command('modstar.pauseIndexing');
  await paused(true);
  await search('compute the tax of a price'); // what is known is searched
  await at('tax.go:4');
  await command('modstar.resumeIndexing');
  await paused(false);
};

exports['rebuilding the index ends with all of it'] = async () => {
  await command('modstar.rebuildIndex');
  await until('all of it', async () => {
    const { coverage } = (await information()).status.folders[0];
    return coverage.state !== 'indexing' && coverage.share === 1;
  });
};

exports['a killed server comes back by itself'] = async () => {
  const [before] = processes('modstar');
  assert(before, 'no server below the extension host');
  process.kill(before, 'SIGKILL');
  await until('another server', () => processes('modstar').some((pid) => pid !== before));
  await show('README.md');
  await search('close idle database connections');
  await at('pool.py:5');
};

exports['restart starts another process, and the one before is gone'] = async () => {
  const [before] = processes('modstar');
  await command('modstar.restart');
  await until('another server', () => processes('modstar').some((pid) => pid !== before));
  await until('the end of the first', () => !processes('modstar').includes(before));
  await search('try again what could not be uploaded');
  await at('upload.py:22');
};

exports['the user chooses the program and its arguments'] = async () => {
  const log = path.join(path.dirname(folder()), 'chosen.log');
  const chosen = path.join(path.dirname(folder()), 'chosen');
  fs.writeFileSync(chosen, `#!/bin/sh\necho "$@" > '${log}'\nexec '${installed()}' "$@"\n`, { mode: 0o755 });
  await setting('args', ['--log-level', 'debug']);
  await setting('path', [chosen]);
  try {
    await until('the chosen program', () => fs.existsSync(log) && fs.readFileSync(log, 'utf8').includes('--log-level debug'));
    assert.match((await information()).text, /found by the setting modstar\.path/);
    await search('try again what could not be uploaded');
    await at('upload.py:22');
  } finally {
    await setting('path', undefined);
    await setting('args', undefined);
  }
};

exports['the server beside the interpreter of the user is found'] = async () => {
  const interpreter = path.join(path.dirname(fs.realpathSync(installed())), 'python');
  await setting('interpreter', [interpreter]);
  try {
    await until('the interpreter', async () => (await information()).text.includes('found by the setting modstar.interpreter'));
    await search('try again what could not be uploaded');
    await at('upload.py:22');
  } finally {
    await setting('interpreter', undefined);
  }
};

exports['a workspace cannot choose the program'] = async () => {
  for (const name of ['path', 'interpreter', 'args']) {
    const update = vscode.workspace.getConfiguration('modstar').update(name, ['/bin/false'], vscode.ConfigurationTarget.Workspace);
    await assert.rejects(async () => update, undefined, name);
  }
};

function installed() {
  return process.env.PATH.split(':').map((folder) => path.join(folder, 'modstar-lsp')).find((file) => fs.existsSync(file));
}
